//! What instances take in the host beside linear memory and tables, which no limiter is
//! asked about: globals, imports, and what tables are filled from.

use wasmparser::{BinaryReaderError, ElementItems, Instance, Parser, Payload};

use crate::plugin_host::sandbox::INSTANCES_MAX;

const BYTES_MAX: u64 = 32 << 20;
const GLOBAL_BYTES: u64 = 16;
const ELEMENT_BYTES: u64 = 32;
const IMPORT_BYTES: u64 = 32;

#[derive(Debug, Clone, Copy, Default)]
struct Weight {
    /// Of the largest module.
    module_bytes: u64,
    /// Instances of modules: as many as the file makes, or as there may be where components
    /// in it make some of their own.
    instances: u64,
}

/// The error says that it is too much.
pub fn check(wasm: &[u8]) -> Result<(), String> {
    // What cannot be read is told by who compiles it.
    let Ok(Weight {
        module_bytes,
        instances,
    }) = weigh(wasm)
    else {
        return Ok(());
    };
    let bytes = module_bytes.saturating_mul(instances);
    if bytes > BYTES_MAX {
        return Err(format!(
            "{instances} instances of modules with up to {} KiB of globals, imports and entries \
             of tables are more than {} MiB together",
            module_bytes >> 10,
            BYTES_MAX >> 20
        ));
    }
    Ok(())
}

fn weigh(wasm: &[u8]) -> Result<Weight, BinaryReaderError> {
    let (mut largest, mut module) = (0, 0);
    let (mut instances, mut is_nested) = (0_u64, false);
    // What is being read: a component, what is in it, and so on.
    let mut inside = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::Version { encoding, .. } => {
                inside.push(encoding);
                module = 0;
            }
            Payload::End(_) => drop(inside.pop()),
            // Each instance has its own copy of what it calls elsewhere.
            Payload::ImportSection(imports) => {
                module += u64::from(imports.count()) * IMPORT_BYTES;
            }
            Payload::GlobalSection(globals) => module += u64::from(globals.count()) * GLOBAL_BYTES,
            Payload::ElementSection(elements) => {
                for element in elements {
                    let count = match element?.items {
                        ElementItems::Functions(items) => items.count(),
                        ElementItems::Expressions(_, items) => items.count(),
                    };
                    module += u64::from(count) * ELEMENT_BYTES;
                }
            }
            Payload::InstanceSection(section) => {
                is_nested |= inside.len() > 1;
                for instance in section {
                    if matches!(instance?, Instance::Instantiate { .. }) {
                        instances += 1;
                    }
                }
            }
            _ => {}
        }
        largest = largest.max(module);
    }
    Ok(Weight {
        module_bytes: largest,
        instances: if is_nested {
            INSTANCES_MAX as u64
        } else {
            instances.min(INSTANCES_MAX as u64)
        },
    })
}

#[cfg(test)]
mod tests {
    use super::{check, weigh};

    fn component(globals: usize, instances: usize) -> Vec<u8> {
        let globals = "(global (mut i64) (i64.const 0))".repeat(globals);
        let instances = "(core instance (instantiate $m))".repeat(instances);
        let text = format!("(component (core module $m {globals}) {instances})");
        wat::parse_str(text).expect("a component")
    }

    #[test]
    fn imports_count_as_often_as_they_are_instantiated() {
        let exports: String = (0..1_000)
            .map(|n| format!("(func (export \"f{n}\"))"))
            .collect();
        let imports: String = (0..1_000)
            .map(|n| format!("(import \"a\" \"f{n}\" (func))"))
            .collect();
        let users = "(core instance (instantiate $b (with \"a\" (instance $i))))".repeat(3);
        let text = format!(
            "(component (core module $a {exports}) (core instance $i (instantiate $a))
                (core module $b {imports}) {users})"
        );
        let weight = weigh(&wat::parse_str(text).expect("a component"));
        let weight = weight.expect("it can be read");
        assert_eq!((weight.module_bytes, weight.instances), (32_000, 4));
    }

    #[test]
    fn globals_count_as_often_as_they_are_instantiated() {
        let weight = weigh(&component(1_000, 3)).expect("it can be read");
        assert_eq!((weight.module_bytes, weight.instances), (16_000, 3));
        assert!(check(&component(1_000, 3)).is_ok());
        let refused = check(&component(50_000, 60)).expect_err("too much");
        assert!(refused.starts_with("60 instances"), "{refused}");

        // However often what is inside is made, a guest has no more instances than that.
        let inside = "(component $c (core module $m) (core instance (instantiate $m)))";
        let nested = format!("(component {inside} (instance (instantiate $c)))");
        let nested = weigh(&wat::parse_str(nested).expect("a component"));
        assert_eq!(nested.expect("it can be read").instances, 64);
    }
}
