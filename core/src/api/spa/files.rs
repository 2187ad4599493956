use std::{collections::HashMap, sync::LazyLock};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::api::{accept, security_headers};

/// Embedded with brotli and gzip beside each file. A build for development
/// reads them from disk instead, once.
#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../web/build"]
#[allow_missing = true]
struct Assets;

const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const REVALIDATE: &str = "no-cache";

/// Every file by its path, ready to be sent: a request costs a look-up.
pub struct Files(HashMap<String, File>);

/// A file in all its encodings.
pub struct File {
    plain: Variant,
    brotli: Option<Variant>,
    gzip: Option<Variant>,
}

/// A file in one encoding.
struct Variant {
    body: Bytes,
    etag: String,
    headers: HeaderMap,
}

impl Files {
    pub fn embedded() -> &'static Self {
        static FILES: LazyLock<Files> = LazyLock::new(Files::load);
        &FILES
    }

    /// Compressed twins are served under the name of their original only.
    fn load() -> Self {
        let names = Assets::iter().filter(|name| !name.ends_with(".br") && !name.ends_with(".gz"));
        let files = names.filter_map(|name| Some((format!("/{name}"), File::load(&name)?)));
        Self(files.collect())
    }

    pub fn get(&self, path: &str) -> Option<&File> {
        self.0.get(path)
    }
}

impl File {
    fn load(name: &str) -> Option<Self> {
        let twin = |ending, encoding| {
            let content = Assets::get(&format!("{name}.{ending}"))?;
            Some(Variant::new(name, content, Some(encoding)))
        };
        Some(Self {
            plain: Variant::new(name, Assets::get(name)?, None),
            brotli: twin("br", "br"),
            gzip: twin("gz", "gzip"),
        })
    }

    pub fn response(&self, request: &HeaderMap) -> Response {
        let variant = self.preferred(request);
        let is_known = variant.is_known(request);
        let mut response = Response::new(if is_known {
            Body::empty()
        } else {
            Body::from(variant.body.clone())
        });
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        *response.headers_mut() = variant.headers.clone();
        response
    }

    /// The encoding that the client likes best, the smallest of those it likes
    /// alike; as it is for a client that says nothing.
    fn preferred(&self, request: &HeaderMap) -> &Variant {
        let quality = |coding| accept::quality(request, &header::ACCEPT_ENCODING, coding);
        let any = quality("*");
        let encoded = [("br", &self.brotli), ("gzip", &self.gzip)];
        let encoded = encoded.into_iter().filter_map(|(coding, variant)| {
            let liked = quality(coding).or(any).filter(|quality| *quality > 0)?;
            Some((liked, variant.as_ref()?))
        });
        let plain = (quality("identity").unwrap_or(0), &self.plain);
        // Of those that are alike, the last is taken.
        let best = [plain]
            .into_iter()
            .chain(encoded.rev())
            .max_by_key(|(liked, _)| *liked);
        best.map_or(&self.plain, |(_, variant)| variant)
    }
}

impl Variant {
    fn new(name: &str, content: EmbeddedFile, encoding: Option<&'static str>) -> Self {
        let etag = format!("\"{}\"", hex::encode(&content.metadata.sha256_hash()[..16]));
        let body = match content.data {
            std::borrow::Cow::Borrowed(embedded) => Bytes::from_static(embedded),
            std::borrow::Cow::Owned(read) => Bytes::from(read),
        };
        let is_immutable = name.starts_with("_app/immutable/");
        let caching = if is_immutable { IMMUTABLE } else { REVALIDATE };
        let mut headers = HeaderMap::from_iter([
            (header::CONTENT_TYPE, content_type(name)),
            (header::CONTENT_LENGTH, body.len().into()),
            (header::CACHE_CONTROL, HeaderValue::from_static(caching)),
            (header::VARY, HeaderValue::from_static("accept-encoding")),
            (
                header::ETAG,
                HeaderValue::from_str(&etag).expect("hex digits in quotes"),
            ),
        ]);
        if let Some(encoding) = encoding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        security_headers::add(&mut headers);
        Self {
            body,
            etag,
            headers,
        }
    }

    /// The client has it: `If-None-Match` lists tags, weak or not, or any.
    fn is_known(&self, request: &HeaderMap) -> bool {
        let lines = request.get_all(header::IF_NONE_MATCH).iter();
        let mut tags = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .map(str::trim);
        tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.etag)
    }
}

fn content_type(name: &str) -> HeaderValue {
    HeaderValue::from_static(match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    })
}
