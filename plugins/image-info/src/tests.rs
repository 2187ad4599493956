use tiny_forge_plugin::{Enricher, Event, Value, json, testing};

use super::ImageInfo;

const REVISION: &str = "7d3f1c0a5be94c28a6d0f1b2c3d4e5f60718293a";

fn info(config: &Value, labels: &Value) -> Option<Value> {
    let mut plugin: ImageInfo = testing::configure(config).expect("valid");
    let payload = json!({"status": "running", "image": "shop:3", "image_labels": labels});
    let event = Event::new("instance_status", "shop/prod/instances/web-1", payload);
    plugin.enrich(&event).expect("no fault")
}

#[test]
fn labels_become_version_commit_and_a_link() {
    let labels = json!({
        "title": "Shop", "version": "3.0.1", "revision": REVISION, "url": "https://shop.example",
        "source": "https://github.com/acme/shop.git", "created": "2026-03-27T22:30:25Z",
    });
    assert_eq!(
        info(&json!({}), &labels),
        Some(json!({
            "title": "Shop", "version": "3.0.1", "commit": "7d3f1c0",
            "commit_url": format!("https://github.com/acme/shop/commit/{REVISION}"),
            "source": "https://github.com/acme/shop", "built": "2026-03-27T22:30:25Z",
        }))
    );
}

#[test]
fn each_forge_has_its_own_address_of_a_commit() {
    let config = json!({"forges": {"git.example": "gitlab"}});
    for (source, page) in [
        (
            "https://gitlab.com/acme/web/shop",
            "https://gitlab.com/acme/web/shop/-/commit/",
        ),
        (
            "https://codeberg.org/acme/shop/",
            "https://codeberg.org/acme/shop/commit/",
        ),
        (
            "git@bitbucket.org:acme/shop.git",
            "https://bitbucket.org/acme/shop/commits/",
        ),
        (
            "git+ssh://git@git.sr.ht:22/~acme/shop",
            "https://git.sr.ht/~acme/shop/commit/",
        ),
        (
            "https://git.example/shop.git#main:web",
            "https://git.example/shop/-/commit/",
        ),
    ] {
        let facts = info(&config, &json!({"source": source, "revision": REVISION}));
        let link = facts
            .as_ref()
            .and_then(|facts| facts["commit_url"].as_str());
        assert_eq!(link, Some(format!("{page}{REVISION}").as_str()), "{source}");
    }
}

#[test]
fn what_is_no_commit_or_no_known_forge_has_no_link() {
    for (source, revision) in [
        ("https://github.com/acme/shop", "main"),
        ("https://github.com/acme/shop", "../../evil"),
        ("https://git.unknown.example/shop", REVISION),
        ("https://github.com/acme/<script>", REVISION),
        ("javascript:alert(1)//github.com/a", REVISION),
        ("shop", REVISION),
    ] {
        let facts = info(&json!({}), &json!({"source": source, "revision": revision}));
        let facts = facts.expect("a commit");
        assert_eq!(facts.get("commit_url"), None, "{source} {revision}");
    }
}

#[test]
fn an_event_without_labels_gets_nothing() {
    assert_eq!(info(&json!({}), &json!({})), None);
    let mut plugin: ImageInfo = testing::configure(&json!({})).expect("valid");
    for payload in [json!({"what": "started"}), json!({"image_labels": "none"})] {
        let event = Event::new("system", "engine", payload);
        assert_eq!(plugin.enrich(&event).expect("no fault"), None);
    }
}
