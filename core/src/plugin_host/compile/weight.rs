//! What instances take in the host beside linear memory and tables, which no limiter is
//! asked about: globals, and what tables are filled from.

use wasmparser::{BinaryReaderError, ElementItems, Encoding, Instance, Parser, Payload};

const BYTES_MAX: u64 = 32 << 20;
const GLOBAL_BYTES: u64 = 16;
const ELEMENT_BYTES: u64 = 32;

#[derive(Debug, Clone, Copy, Default)]
struct Weight {
    /// Of the largest module.
    module_bytes: u64,
    /// Instantiations that the file asks for, each as often as its component is at most.
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
            "{instances} instances of modules with up to {} KiB of globals and entries of tables \
             are more than {} MiB together",
            module_bytes >> 10,
            BYTES_MAX >> 20
        ));
    }
    Ok(())
}

fn weigh(wasm: &[u8]) -> Result<Weight, BinaryReaderError> {
    let (mut largest, mut module) = (0, 0);
    let (mut instances, mut components) = (0_u64, 1_u64);
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } => module = 0,
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
                for instance in section {
                    if matches!(instance?, Instance::Instantiate { .. }) {
                        instances += 1;
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                components += u64::from(section.count());
            }
            _ => {}
        }
        largest = largest.max(module);
    }
    Ok(Weight {
        module_bytes: largest,
        instances: instances.saturating_mul(components),
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
    fn globals_count_as_often_as_they_are_instantiated() {
        let weight = weigh(&component(1_000, 3)).expect("it can be read");
        assert_eq!((weight.module_bytes, weight.instances), (16_000, 3));
        assert!(check(&component(1_000, 3)).is_ok());
        let refused = check(&component(50_000, 60)).expect_err("too much");
        assert!(refused.starts_with("60 instances"), "{refused}");
    }
}
