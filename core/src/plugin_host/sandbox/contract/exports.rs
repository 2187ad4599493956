//! What guests export has the same shape in every version so far, but for how a filter
//! is called, under types of its own: this writes it down once.

/// `Indices`, where the functions of a component are, and `Exports`, the functions
/// of one of its instances. The module has the bindings, `event`, `description`, and what
/// is called of a filter: `FilterIndices`, `FilterExports` and `filter`.
macro_rules! exports {
    () => {
        use std::future::ready;

        use futures_util::future::Either;
        use wasmtime::{Store, component::Instance, component::InstancePre};

        use crate::{
            model::PluginRole,
            plugin_host::sandbox::{Decision, DeliveryOutcome, FieldError},
        };

        pub struct Indices {
            plugin: plugin::GuestIndices,
            role: RoleIndices,
        }

        enum RoleIndices {
            Filter(FilterIndices),
            Enricher(enricher_role::GuestIndices),
            Sink(sink_role::GuestIndices),
        }

        pub struct Exports {
            plugin: plugin::Guest,
            role: RoleExports,
        }

        enum RoleExports {
            Filter(FilterExports),
            Enricher(enricher_role::Guest),
            Sink(sink_role::Guest),
        }

        impl Indices {
            pub fn new(role: PluginRole, of: &InstancePre<HostState>) -> wasmtime::Result<Self> {
                Ok(Self {
                    plugin: plugin::GuestIndices::new(of)?,
                    role: match role {
                        PluginRole::Filter => RoleIndices::Filter(FilterIndices::new(of)?),
                        PluginRole::Enricher => {
                            RoleIndices::Enricher(enricher_role::GuestIndices::new(of)?)
                        }
                        PluginRole::Sink => RoleIndices::Sink(sink_role::GuestIndices::new(of)?),
                    },
                })
            }

            pub fn load(
                &self,
                store: &mut Store<HostState>,
                instance: &Instance,
            ) -> wasmtime::Result<Exports> {
                Ok(Exports {
                    plugin: self.plugin.load(&mut *store, instance)?,
                    role: match &self.role {
                        RoleIndices::Filter(it) => RoleExports::Filter(it.load(store, instance)?),
                        RoleIndices::Enricher(it) => {
                            RoleExports::Enricher(it.load(store, instance)?)
                        }
                        RoleIndices::Sink(it) => RoleExports::Sink(it.load(store, instance)?),
                    },
                })
            }
        }

        impl Exports {
            pub async fn describe(
                &self,
                store: &mut Store<HostState>,
            ) -> wasmtime::Result<Result<Description, String>> {
                Ok(description(self.plugin.call_describe(store).await?))
            }

            pub async fn configure(
                &self,
                store: &mut Store<HostState>,
                config: &str,
            ) -> wasmtime::Result<Result<(), Vec<FieldError>>> {
                let verdict = self.plugin.call_configure(store, config).await?;
                let field_error =
                    |plugin::FieldError { field, message }| FieldError { field, message };
                Ok(verdict.map_err(|errors| errors.into_iter().map(field_error).collect()))
            }

            pub fn filter<'a>(
                &'a self,
                store: &'a mut Store<HostState>,
                about: &'a GuestEvent,
                texts: &'a mut String,
            ) -> impl Future<Output = wasmtime::Result<Result<Decision, String>>> + Send + 'a {
                match &self.role {
                    RoleExports::Filter(role) => Either::Left(filter(role, store, about, texts)),
                    _ => Either::Right(ready(Err(wasmtime::Error::msg("it is no filter")))),
                }
            }

            pub fn enrich<'a>(
                &'a self,
                store: &'a mut Store<HostState>,
                about: &'a GuestEvent,
            ) -> impl Future<Output = wasmtime::Result<Result<Option<String>, String>>> + Send + 'a
            {
                match &self.role {
                    RoleExports::Enricher(role) => {
                        Either::Left(role.call_enrich(store, event(about)))
                    }
                    _ => Either::Right(ready(Err(wasmtime::Error::msg("it is no enricher")))),
                }
            }

            pub async fn deliver(
                &self,
                store: &mut Store<HostState>,
                context: &DeliveryContext,
                events: &[std::borrow::Cow<'_, GuestEvent>],
            ) -> wasmtime::Result<DeliveryOutcome> {
                let RoleExports::Sink(role) = &self.role else {
                    wasmtime::bail!("it is no sink");
                };
                let DeliveryContext {
                    delivery_id,
                    attempt,
                    first_attempt,
                    test,
                    public_url,
                } = context;
                let context = sink_role::Context {
                    delivery_id,
                    attempt: *attempt,
                    first_attempt,
                    test: *test,
                    public_url: public_url.as_deref(),
                };
                let events: Vec<_> = events.iter().map(|it| event(it)).collect();
                let outcome = role.call_deliver(store, context, &events).await?;
                Ok(match outcome {
                    sink_role::Outcome::Ok => DeliveryOutcome::Ok,
                    sink_role::Outcome::Retry(sink_role::Retry { after_ms, reason }) => {
                        DeliveryOutcome::Retry { after_ms, reason }
                    }
                    sink_role::Outcome::Reject(reason) => DeliveryOutcome::Reject(reason),
                })
            }
        }
    };
}

pub(super) use exports;
