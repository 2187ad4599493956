use axum::Json;
use utoipa::{
    OpenApi,
    openapi::{InfoBuilder, OpenApiBuilder, PathItem},
};

use super::routes_with_schema;
use crate::model;

/// Types that no route names, but that clients need: what events carry.
#[derive(OpenApi)]
#[openapi(components(schemas(
    model::EventType,
    model::DeployLogPayload,
    model::DeployStatusPayload,
    model::InstanceStatusPayload,
    model::PullProgress,
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
    let operations = [
        ("get", &mut item.get),
        ("put", &mut item.put),
        ("post", &mut item.post),
        ("delete", &mut item.delete),
    ];
    for (method, operation) in operations {
        if let Some(operation) = operation {
            operation.operation_id = Some(format!("{method}_{}", words.join("_")));
        }
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
