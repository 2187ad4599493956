//! The macros that make a crate a plugin. One call per crate: a component has one
//! role.

/// Makes a [`Filter`](crate::Filter) the plugin of this crate.
#[macro_export]
macro_rules! export_filter {
    ($plugin:ty) => {
        $crate::__export!(
            $plugin,
            Filter,
            filter,
            filter_role,
            {
                fn filter(event: role::Event) -> Result<role::Decision, String> {
                    PLUGIN.with(|plugin| plugin.filter(event.into()))
                }
            },
            packed_filter,
            {
                fn filter(event: packed_filter::PackedEvent) -> Result<role::Decision, String> {
                    PLUGIN.with(|plugin| plugin.filter(event.into()))
                }
            }
        );
    };
}

/// Makes an [`Enricher`](crate::Enricher) the plugin of this crate.
#[macro_export]
macro_rules! export_enricher {
    ($plugin:ty) => {
        $crate::__export!($plugin, Enricher, enricher, enricher_role, {
            fn enrich(event: role::Event) -> Result<Option<String>, String> {
                PLUGIN.with(|plugin| plugin.enrich(event))
            }
        });
    };
}

/// Makes a [`Sink`](crate::Sink) the plugin of this crate.
#[macro_export]
macro_rules! export_sink {
    ($plugin:ty) => {
        $crate::__export!($plugin, Sink, sink, sink_role, {
            fn deliver(context: role::Context, events: Vec<role::Event>) -> role::Outcome {
                PLUGIN.with(|plugin| plugin.deliver(context, events))
            }
        });
    };
}

/// Only a component has exports; elsewhere the role is checked and nothing else.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    (
        $plugin:ty, $trait:ident, $world:ident, $role:ident, { $($function:tt)* }
        $(, $more:ident, { $($function_of_more:tt)* })?
    ) => {
        #[cfg(not(target_family = "wasm"))]
        const _: () = {
            const fn has_the_role<P: $crate::$trait>() {}
            has_the_role::<$plugin>()
        };

        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "the component model's calling convention")]
        const _: () = {
            use $crate::__private::bindings::$world::exports::tiny_forge::plugin::$role as role;
            use $crate::__private::bindings::common::exports::tiny_forge::plugin::plugin as common;

            ::std::thread_local! {
                static PLUGIN: $crate::__private::Slot<$plugin> =
                    const { $crate::__private::Slot::empty() };
            }

            struct Component;

            impl common::Guest for Component {
                fn describe() -> common::Description {
                    <$plugin as $crate::Plugin>::describe().into()
                }

                fn configure(config: String) -> Result<(), Vec<common::FieldError>> {
                    PLUGIN.with(|plugin| plugin.configure(&config))
                }
            }

            impl role::Guest for Component {
                $($function)*
            }

            $(
                use $crate::__private::bindings::$world::exports::tiny_forge::plugin::$more;

                impl $more::Guest for Component {
                    $($function_of_more)*
                }
            )?

            $crate::__private::bindings::common::export_common!(
                Component with_types_in $crate::__private::bindings::common
            );
            $crate::__private::bindings::$world::export_role!(
                Component with_types_in $crate::__private::bindings::$world
            );
        };
    };
}
