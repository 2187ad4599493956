use axum::Json;
use utoipa::{
    OpenApi,
    openapi::{
        Content, ContentBuilder, InfoBuilder, OpenApiBuilder, PathItem, Ref, RefOr, Response,
        ResponseBuilder, path::Operation,
    },
};

use super::{error, routes_with_schema};
use crate::model;

/// Types that no route names, but that clients need: what events and control frames carry.
#[derive(OpenApi)]
#[openapi(components(schemas(
    model::EventType,
    model::DeployLogPayload,
    model::DeployStatusPayload,
    model::InstanceStatusPayload,
    model::PullProgress,
    model::Hello,
    model::Bookmark,
    model::Reset,
)))]
struct Extra;

pub(super) fn base() -> utoipa::openapi::OpenApi {
    let info = InfoBuilder::new()
        .title("tiny-forge")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Version 1 of the API; it changes only by addition."))
        .build();
    let mut document = OpenApiBuilder::new().info(info).build();
    document.merge(Extra::openapi());
    document
}

/// The description of the whole API, made from its types.
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = routes_with_schema().split_for_parts().1;
    for (path, item) in &mut document.paths.paths {
        name_operations(path, item);
        describe_refusals(path, item);
    }
    document
}

/// Names must be unique, and handlers of different resources are called alike.
fn name_operations(path: &str, item: &mut PathItem) {
    let words = path.strip_prefix("/api").unwrap_or(path).split(['/', '.']);
    let words: Vec<&str> = words
        .map(|word| word.trim_matches(['{', '}']))
        .filter(|word| !word.is_empty())
        .collect();
    for (method, operation) in operations(item) {
        operation.operation_id = Some(format!("{method}_{}", words.join("_")));
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let operations = [
        ("get", &mut item.get),
        ("put", &mut item.put),
        ("post", &mut item.post),
        ("delete", &mut item.delete),
    ];
    let there = operations.into_iter();
    there.filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// A handler's description tells what it answers itself. What is refused before it is asked
/// follows from what it takes: parameters, a body, a place among the streams.
fn describe_refusals(path: &str, item: &mut PathItem) {
    for (method, operation) in operations(item) {
        let is_of_api = path.starts_with("/api/");
        let writes = method != "get";
        let has_parameters = operation
            .parameters
            .as_ref()
            .is_some_and(|it| !it.is_empty());
        let has_body = operation.request_body.is_some();
        let streams = operation.responses.responses.values().any(is_stream);
        for (comes, status, description) in [
            (
                has_parameters,
                "400",
                "a parameter is not what it has to be",
            ),
            (writes, "403", "it comes from another site"),
            (has_body, "413", "the body is too large"),
            (writes, "415", "its content type is not `application/json`"),
            (true, "421", "it is for another host"),
            (has_body, "422", "the body is not what it has to be"),
            (streams, "429", "this client has its share of streams"),
            (
                is_of_api,
                "503",
                "not now: the server is busy, or its disk is full",
            ),
        ] {
            if comes {
                let responses = &mut operation.responses.responses;
                let refusal = responses.entry(status.to_owned());
                refusal.or_insert_with(|| RefOr::T(problem(description)));
            }
        }
        for response in operation.responses.responses.values_mut() {
            as_problem(response);
        }
    }
}

fn is_stream(response: &RefOr<Response>) -> bool {
    match response {
        RefOr::T(response) => response.content.contains_key("text/event-stream"),
        RefOr::Ref(_) => false,
    }
}

fn problem(description: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new()
        .description(description)
        .content("application/json", content.build())
        .build()
}

/// Handlers describe a problem by its type alone, whose form is always the same.
fn as_problem(response: &mut RefOr<Response>) {
    let RefOr::T(response) = response else { return };
    let of_problem = RefOr::Ref(Ref::from_schema_name("Problem"));
    let is_problem = |content: &Content| content.schema.as_ref() == Some(&of_problem);
    if response
        .content
        .get("application/json")
        .is_some_and(is_problem)
        && let Some(content) = response.content.shift_remove("application/json")
    {
        response
            .content
            .insert(error::MEDIA_TYPE.to_owned(), content);
    }
}

/// The same as it is kept in the repository: the web client is made from it.
pub fn text() -> serde_json::Result<String> {
    Ok(document().to_pretty_json()? + "\n")
}

/// This description.
#[utoipa::path(get, path = "/api/openapi.json", tag = "status",
    responses((status = 200, description = "OpenAPI 3.1")))]
pub async fn get() -> Json<utoipa::openapi::OpenApi> {
    Json(document())
}
