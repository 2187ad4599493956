//! What wit-bindgen makes of `sdk/wit/v1`: the contract as Rust types, and the
//! functions that cross the boundary. Nothing of it is public API.
//!
//! A component's world is the union of the worlds that were exported into it,
//! so each role is cut in two: `common`, which all share, and its own function.
//! That way there is one event type and one set of host functions.
#![allow(
    unsafe_code,
    missing_docs,
    unused_qualifications,
    reason = "generated code"
)]

pub mod common {
    wit_bindgen::generate!({
        path: "wit/v1",
        inline: "
            package tiny-forge:sdk;
            world common {
                include tiny-forge:plugin/imports@1.1.0;
                export tiny-forge:plugin/plugin@1.1.0;
            }
        ",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_common",
        runtime_path: "::tiny_forge_plugin::__private::wit_bindgen::rt",
    });
}

macro_rules! role {
    ($world:literal) => {
        wit_bindgen::generate!({
            path: "wit/v1",
            inline: $world,
            with: {
                "tiny-forge:plugin/types@1.1.0": crate::bindings::common::tiny_forge::plugin::types,
            },
            pub_export_macro: true,
            export_macro_name: "export_role",
            runtime_path: "::tiny_forge_plugin::__private::wit_bindgen::rt",
        });
    };
}

pub mod filter {
    role!(
        "package tiny-forge:sdk; world filter-only {
            export tiny-forge:plugin/filter-role@1.1.0;
            export tiny-forge:plugin/packed-filter@1.1.0;
        }"
    );
}

pub mod enricher {
    role!(
        "package tiny-forge:sdk; world enricher-only { export tiny-forge:plugin/enricher-role@1.1.0; }"
    );
}

pub mod sink {
    role!("package tiny-forge:sdk; world sink-only { export tiny-forge:plugin/sink-role@1.1.0; }");
}
