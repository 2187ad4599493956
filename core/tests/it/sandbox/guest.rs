//! Guests written in WebAssembly's text format: no toolchain, and every trick.

use std::path::{Path, PathBuf};

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A component in the making. Every part is text in a core module; what is not
/// set does what an honest guest does, as briefly as it can.
#[derive(Clone)]
pub struct Source {
    role: Role,
    imports: String,
    memory: String,
    data: String,
    start: String,
    realloc: String,
    describe: String,
    configure: String,
    call: String,
    extra: String,
    encoding: StringEncoding,
    wit: PathBuf,
}

#[derive(Clone, Copy)]
pub enum Role {
    Filter,
    Enricher,
    Sink,
}

/// Where a call's answer is: zeros say keep, nothing, ok.
pub const ANSWER: u32 = 256;

impl Source {
    pub fn new(role: Role) -> Self {
        Self {
            role,
            imports: String::new(),
            memory: "4".into(),
            data: String::new(),
            start: String::new(),
            realloc: "(local $at i32)
                (local.set $at (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
                (global.set $free (i32.add (local.get $at) (local.get $size)))
                (local.get $at)"
                .into(),
            describe: "(i32.const 64)".into(),
            configure: format!("(i32.const {ANSWER})"),
            call: format!("(i32.const {ANSWER})"),
            extra: String::new(),
            encoding: StringEncoding::UTF8,
            wit: Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/wit/v1"),
        }
    }

    pub fn filter(call: impl Into<String>) -> Self {
        Self::new(Role::Filter).call(call)
    }

    /// The body of `filter`, `enrich` or `deliver`.
    pub fn call(self, call: impl Into<String>) -> Self {
        let call = call.into();
        Self { call, ..self }
    }

    /// A host function under a name of the guest's own.
    pub fn import(mut self, name: &str, interface: &str, function: &str, ty: &str) -> Self {
        let import = format!(
            r#"(import "tiny-forge:plugin/{interface}@1.0.0" "{function}" (func ${name} {ty}))"#
        );
        self.imports.push_str(&import);
        self
    }

    /// What the runtime offers for resources that the guest exports itself.
    pub fn import_own(mut self, name: &str, interface: &str, function: &str, ty: &str) -> Self {
        let import = format!(
            r#"(import "[export]tiny-forge:plugin/{interface}@1.0.0" "{function}" (func ${name} {ty}))"#
        );
        self.imports.push_str(&import);
        self
    }

    /// In pages: initial, and most.
    pub fn memory(self, memory: &str) -> Self {
        let memory = memory.into();
        Self { memory, ..self }
    }

    pub fn data(mut self, at: u32, bytes: &[u8]) -> Self {
        let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let data = format!(r#"(data (i32.const {at}) "{escaped}")"#);
        self.data.push_str(&data);
        self
    }

    /// The body of the module's start function.
    pub fn start(self, body: &str) -> Self {
        let start = format!("(func $start {body}) (start $start)");
        Self { start, ..self }
    }

    pub fn realloc(self, body: &str) -> Self {
        let realloc = body.into();
        Self { realloc, ..self }
    }

    pub fn describe(self, body: &str) -> Self {
        let describe = body.into();
        Self { describe, ..self }
    }

    pub fn configure(self, body: &str) -> Self {
        let configure = body.into();
        Self { configure, ..self }
    }

    /// More functions, globals, tables.
    pub fn extra(self, extra: &str) -> Self {
        let extra = extra.into();
        Self { extra, ..self }
    }

    pub fn utf16(self) -> Self {
        let encoding = StringEncoding::UTF16;
        Self { encoding, ..self }
    }

    /// A contract other than the server's.
    pub fn wit(self, wit: &Path) -> Self {
        let wit = wit.to_owned();
        Self { wit, ..self }
    }

    pub fn core_module(&self) -> Vec<u8> {
        let (interface, function, params) = match self.role {
            Role::Filter => ("filter-role", "filter", 1),
            Role::Enricher => ("enricher-role", "enrich", 1),
            Role::Sink => ("sink-role", "deliver", 11),
        };
        let params = " i32".repeat(params);
        let Self {
            imports,
            memory,
            data,
            start,
            realloc,
            describe,
            configure,
            call,
            extra,
            ..
        } = self;
        let text = format!(
            r#"(module
                {imports}
                (memory (export "memory") {memory})
                (global $free (mut i32) (i32.const 65536))
                (global $count (mut i32) (i32.const 0))
                (data (i32.const 16) "{{}}")
                (data (i32.const 88) "\10\00\00\00\02\00\00\00")
                {data}
                {start}
                {extra}
                (func $realloc (export "cabi_realloc")
                    (param $old i32) (param $old_size i32) (param $align i32) (param $size i32)
                    (result i32)
                    {realloc})
                (func $describe (export "tiny-forge:plugin/plugin@1.0.0#describe") (result i32)
                    {describe})
                (func $configure (export "tiny-forge:plugin/plugin@1.0.0#configure")
                    (param i32 i32) (result i32)
                    {configure})
                (func $call (export "tiny-forge:plugin/{interface}@1.0.0#{function}")
                    (param{params}) (result i32)
                    {call}))"#
        );
        let version = contract_version(&self.wit);
        let text = text.replace("@1.0.0", &format!("@{version}"));
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    pub fn component(&self) -> Vec<u8> {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(&self.wit).expect("the contract");
        let world = match self.role {
            Role::Filter => "filter",
            Role::Enricher => "enricher",
            Role::Sink => "sink",
        };
        let world = resolve
            .select_world(&[package], Some(world))
            .expect("a world");
        let mut module = self.core_module();
        embed_component_metadata(&mut module, &resolve, world, self.encoding, false)
            .expect("a module that takes metadata");
        ComponentEncoder::default()
            .validate(true)
            .module(&module)
            .and_then(|encoder| encoder.encode())
            .unwrap_or_else(|error| panic!("no component: {error:?}"))
    }
}

/// The contract in another version, with more functions of the host's clock.
pub fn contract(version: &str, more: &str) -> tempfile::TempDir {
    contract_with(|text| {
        // An older one has nothing that came later.
        text.replace("@since(version = 1.1.0)", "")
            .replace("@1.1.0", &format!("@{version}"))
            .replace("interface clock {", &format!("interface clock {{ {more}"))
    })
}

/// The contract, with a resource that filters export besides.
pub fn contract_with_resource() -> tempfile::TempDir {
    let hoard = "interface hoard { resource thing { constructor(); } }";
    let world = format!("{hoard} world filter {{ export hoard;");
    contract_with(|text| text.replace("world filter {", &world))
}

fn contract_with(change: impl Fn(String) -> String) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("temporary directory");
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/wit/v1");
    for entry in std::fs::read_dir(published).expect("the contract") {
        let path = entry.expect("an entry").path();
        let text = change(std::fs::read_to_string(&path).expect("WIT"));
        std::fs::write(dir.path().join(path.file_name().expect("a name")), text).expect("written");
    }
    dir
}

fn contract_version(wit: &Path) -> String {
    let text = std::fs::read_to_string(wit.join("worlds.wit")).expect("the contract");
    let (_, rest) = text.split_once('@').expect("a version");
    rest.split(';').next().expect("a version").to_owned()
}

/// Stores a byte or a word of the answer.
pub fn answer_byte(offset: u32, value: u32) -> String {
    format!(
        "(i32.store8 (i32.const {}) (i32.const {value}))",
        ANSWER + offset
    )
}

pub fn answer_word(offset: u32, value: &str) -> String {
    format!("(i32.store (i32.const {}) {value})", ANSWER + offset)
}

/// A filter's `drop` with the text at an address, or what an enricher adds: they look alike.
pub fn drop_with(pointer: &str, length: &str) -> String {
    [
        answer_byte(4, 1),
        answer_word(8, pointer),
        answer_word(12, length),
        format!("(i32.const {ANSWER})"),
    ]
    .concat()
}

/// An endless loop, for a body that has to answer.
pub const SPIN: &str = "(loop $again (br $again)) (unreachable)";
/// The same where there is no answer.
pub const SPIN_SILENTLY: &str = "(loop $again (br $again))";
