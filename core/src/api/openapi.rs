use axum::Json;
use utoipa::{
    OpenApi,
    openapi::{InfoBuilder, OpenApiBuilder},
};

use super::routes_with_schema;
use crate::model;

/// Types that no route names, but that clients need: what events carry.
#[derive(OpenApi)]
#[openapi(components(schemas(
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
    routes_with_schema().split_for_parts().1
}

/// This description.
#[utoipa::path(get, path = "/api/openapi.json", tag = "status",
    responses((status = 200, description = "OpenAPI 3.1")))]
pub async fn get() -> Json<utoipa::openapi::OpenApi> {
    Json(document())
}
