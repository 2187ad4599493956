use std::time::Duration;

use tiny_forge::plugin_host::sandbox::{Decision, Fault, GuestEvent};
use tokio::net::TcpListener;

use super::{
    guest::ANSWER,
    lab::{Lab, SECRET, event, http},
    post::{Post, Target, post},
};

#[tokio::test]
async fn a_granted_target_is_reached() {
    let target = Target::start().await;
    let url = format!("{}/hook?a=1", target.origin());
    let answer = Post {
        url: &url,
        header: Some(("x-token", "t")),
        body: b"hello",
        ..Post::default()
    };
    let answer = answer.send(target.granted()).await;
    assert_eq!(answer.as_deref(), Ok("POST /hook?a=1 token=t body=hello"));
}

#[tokio::test]
async fn a_denial_is_the_line_to_add() {
    let denied = post("https://Hooks.Example:443/x?y", http(&[], &[], &[])).await;
    assert_eq!(
        denied,
        Err(r#"grants.http = ["https://hooks.example"]"#.into())
    );
    let granted = http(&["https://a.example"], &[], &[]);
    let denied = post("http://b.example:8080", granted).await;
    let line = r#"grants.http = ["https://a.example", "http://b.example:8080"]"#;
    assert_eq!(denied, Err(line.into()));
}

#[tokio::test]
async fn nothing_leaves_before_the_first_event() {
    let target = Target::start().await;
    let url = format!("{}/early", target.origin());
    let post = Post {
        url: &url,
        ..Post::default()
    };
    let (lab, early) = (Lab::new(), post.call());
    let source = post.source().describe(&format!("{early} (i32.const 64)"));
    let source = source.configure(&format!("{early} (i32.const {ANSWER})"));
    let mut setup = None;
    let mut guest = lab
        .start_with(&source, |it| {
            it.http = target.granted();
            setup = Some(it.clone());
        })
        .await;
    guest.describe().await.expect("a description");
    assert_eq!(guest.configure("{}").await, Ok(Ok(())));
    assert_eq!(target.connections(), 0);
    let log = setup.expect("set").log;
    let said: Vec<String> = log.lines().into_iter().map(|it| it.message).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("`configure` reach nothing"), "{said:?}");
    // The same request in a call.
    let sent = guest.filter(&event()).await.expect("a decision");
    assert_eq!(sent, Decision::Drop("POST /early token= body=".into()));
}

#[tokio::test]
async fn this_machine_and_private_networks_need_a_grant_of_their_own() {
    for (url, address) in [
        ("http://127.0.0.1:9", "127.0.0.1/32"),
        ("http://2130706433:9", "127.0.0.1/32"),
        ("http://0x7f.0.0.1:9", "127.0.0.1/32"),
        ("http://0177.0.0.1:9", "127.0.0.1/32"),
        ("http://[::ffff:127.0.0.1]:9", "127.0.0.1/32"),
        ("http://[::1]:9", "::1/128"),
        ("http://10.0.0.1:9", "10.0.0.1/32"),
        ("http://192.168.1.1:9", "192.168.1.1/32"),
    ] {
        let denied = post(url, http(&[url], &[], &[])).await;
        assert_eq!(
            denied,
            Err(format!("grants.networks = [\"{address}\"]")),
            "{url}"
        );
    }
    // A name is no way around it.
    let denied = post(
        "http://localhost:9",
        http(&["http://localhost:9"], &[], &[]),
    )
    .await;
    let line = denied.expect_err("denied");
    assert!(line.starts_with("grants.networks = ["), "{line}");
}

#[tokio::test]
async fn our_own_address_and_metadata_are_never_reached() {
    let target = Target::start().await;
    let everything = ["0.0.0.0/0", "::/0"];
    for url in [
        target.origin(),
        format!("http://localhost:{}", target.address.port()),
        format!("http://[::ffff:127.0.0.1]:{}", target.address.port()),
        format!("http://0.0.0.0:{}", target.address.port()),
        "http://169.254.169.254:80".into(),
    ] {
        let granted = http(&[&url], &everything, &[target.address]);
        let denied = post(&url, granted).await.expect_err("denied");
        let is_denied = denied.contains("can be granted to no plugin");
        // Where a machine has both, a name leads to the other loopback address.
        assert!(is_denied || denied.contains("refused"), "{url}: {denied}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let target = Target::start().await;
    let url = format!("{}/redirect", target.origin());
    assert_eq!(post(&url, target.granted()).await, Ok(String::new()));
}

#[tokio::test]
async fn a_redirect_takes_a_secret_nowhere_even_to_where_it_might_go() {
    let (target, other) = (Target::start().await, Target::start().await);
    let origins = [target.origin(), other.origin()];
    let both = http(
        &origins.each_ref().map(String::as_str),
        &["127.0.0.1/32"],
        &[],
    );
    let post = Post {
        url: &format!(
            "{}/away?{}/stolen?k={{secret:TOKEN}}",
            target.origin(),
            other.origin()
        ),
        header: Some(("x-token", "{secret:TOKEN}")),
        ..Post::default()
    };
    assert_eq!(post.send(both).await, Ok(String::new()));
    assert_eq!((target.connections(), other.connections()), (1, 0));
}

#[tokio::test]
async fn whether_it_is_granted_is_asked_before_anything_else() {
    let target = Target::start().await;
    let url = format!("{}/{{secret:NONE}}", target.origin());
    let wrong = Post {
        url: &url,
        header: Some(("host", "{secret:NONE}")),
        ..Post::default()
    };
    // Not what else is wrong with it, nor whether the address may be reached.
    let denied = wrong.send(http(&[], &[], &[target.address])).await;
    assert_eq!(
        denied,
        Err(format!("grants.http = [\"{}\"]", target.origin()))
    );
    // Not even whether there is such a name.
    let nowhere = post("https://nowhere.invalid/", http(&[], &[], &[])).await;
    assert_eq!(
        nowhere,
        Err(r#"grants.http = ["https://nowhere.invalid"]"#.into())
    );
    // Then the address, then the rest.
    let denied = wrong.send(http(&[&target.origin()], &[], &[])).await;
    assert_eq!(denied, Err(r#"grants.networks = ["127.0.0.1/32"]"#.into()));
    let denied = wrong.send(target.granted()).await;
    assert_eq!(denied, Err("secrets.NONE = \"env:NONE\"".into()));
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn a_url_with_a_user_is_refused() {
    let target = Target::start().await;
    for user in ["user", "user:password", "{secret:TOKEN}"] {
        let url = format!("http://{user}@{}/", target.address);
        let refused = post(&url, target.granted()).await.expect_err("refused");
        assert!(refused.contains("no user and password"), "{refused}");
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn what_is_not_http_is_reached_by_no_url() {
    for url in [
        "unix:///var/run/docker.sock",
        "http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
        "file:///etc/passwd",
        "ftp://a.example/",
        "data:text/plain,x",
    ] {
        let granted = http(&["https://*.example"], &["0.0.0.0/0"], &[]);
        let refused = post(url, granted).await.expect_err("refused");
        assert!(
            refused.contains("neither `https` nor `http`"),
            "{url}: {refused}"
        );
    }
}

#[tokio::test]
async fn no_plugin_sends_over_a_connection_of_another_one() {
    let target = Target::start().await;
    let (one, other) = (target.granted(), target.granted());
    for (http, connections) in [(&one, 1), (&one, 1), (&other, 2), (&one, 2)] {
        post(&target.origin(), http.clone())
            .await
            .expect("an answer");
        assert_eq!(target.connections(), connections);
    }
}

#[tokio::test]
async fn secrets_go_into_a_request_and_never_come_back() {
    let target = Target::start().await;
    let url = format!("{}/length?k={{secret:TOKEN}}", target.origin());
    let post = Post {
        url: &url,
        header: Some(("x-token", "Bearer {secret:TOKEN}")),
        body: b"text {secret:TOKEN}",
        ..Post::default()
    };
    let answer = post.send(target.granted()).await.expect("an answer");
    let reversed = |text: &str| text.chars().rev().collect::<String>();
    let expected = format!(
        "query={} header={} body={}",
        reversed("k=correct-horse%20%22battery%22"),
        reversed(&format!("Bearer {SECRET}")),
        reversed(&format!("text {SECRET}")),
    );
    assert_eq!(answer, expected);

    let echoed = Post {
        url: &format!("{}/x?k={{secret:TOKEN}}", target.origin()),
        ..post.clone()
    };
    let echoed = echoed.send(target.granted()).await.expect("an answer");
    assert_eq!(
        echoed,
        "POST /x?k=(secret) token=Bearer (secret) body=text (secret)"
    );

    let json = Post {
        url: &format!("{}/length", target.origin()),
        header: Some(("content-type", "application/json")),
        body: b"{\"k\":\"{secret:TOKEN}\"}",
        ..Post::default()
    };
    let json = json.send(target.granted()).await.expect("an answer");
    assert!(
        json.ends_with(&reversed(r#"{"k":"correct-horse \"battery\""}"#)),
        "{json}"
    );
}

#[tokio::test]
async fn a_secret_in_the_host_is_no_url_and_an_unknown_one_is_named() {
    let target = Target::start().await;
    let denied = post("http://{secret:TOKEN}.example/", target.granted()).await;
    let problem = denied.expect_err("refused");
    assert!(
        problem.contains("URL") && !problem.contains("correct"),
        "{problem}"
    );
    let url = format!("{}/{{secret:OTHER}}", target.origin());
    let problem = post(&url, target.granted()).await.expect_err("refused");
    assert_eq!(problem, "secrets.OTHER = \"env:OTHER\"");
}

#[tokio::test]
async fn what_stands_apart_in_a_url_is_not_put_together() {
    let target = Target::start().await;
    for apart in ["{\tsecret:TOKEN}", "{sec\nret:TOKEN}", "{secret:TO\rKEN}"] {
        let url = format!("{}/?text={apart}", target.origin());
        let refused = post(&url, target.granted()).await.expect_err("refused");
        assert!(refused.contains("control characters"), "{refused}");
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn a_failed_connection_does_not_tell_the_secret() {
    // A port that was just free, with nobody behind it.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let url = format!("{origin}/{{secret:TOKEN}}");
    let granted = http(&[&origin], &["127.0.0.1/32"], &[]);
    let problem = post(&url, granted).await.expect_err("nobody there");
    assert!(
        problem.contains("refused") && !problem.contains("correct"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_placeholder_in_an_event_stays_text() {
    let target = Target::start().await;
    let post = Post {
        url: &target.origin(),
        forward: true,
        ..Post::default()
    };
    let hostile = GuestEvent {
        payload: r#"{"line":"{secret:TOKEN}"}"#.into(),
        ..event()
    };
    let answer = post
        .send_with(target.granted(), &hostile)
        .await
        .expect("an answer");
    assert!(
        answer.ends_with(r#"body={"line":"{ secret:TOKEN}"}"#),
        "{answer}"
    );
}

#[tokio::test]
async fn waiting_for_an_answer_is_not_computing() {
    let target = Target::start().await;
    let url = format!("{}/slow", target.origin());
    // A filter may compute for 50 ms; this answer takes 300.
    assert_eq!(post(&url, target.granted()).await.as_deref(), Ok("late"));
}

#[tokio::test]
async fn a_timeout_is_an_error_that_the_guest_survives() {
    let target = Target::start().await;
    let post = Post {
        url: &format!("{}/slow", target.origin()),
        timeout_ms: Some(20),
        ..Post::default()
    };
    let http = target.granted();
    // `timeout` has no words.
    assert_eq!(post.send(http.clone()).await, Err(String::new()));

    let lab = Lab::new();
    let mut guest = lab
        .start_with(
            &Post {
                timeout_ms: None,
                ..post
            }
            .source(),
            |setup| {
                // It has read the machine's certificates by now.
                setup.http = http;
                setup.limits.wall = Duration::from_millis(200);
            },
        )
        .await;
    let answer = guest.filter(&event()).await;
    assert_eq!(answer, Err(Fault::Refused(String::new())));
    assert!(!guest.is_dead());
}

#[tokio::test]
async fn no_time_at_all_is_no_timeout() {
    let target = Target::start().await;
    let post = Post {
        url: &target.origin(),
        timeout_ms: Some(0),
        ..Post::default()
    };
    let refused = post.send(target.granted()).await;
    assert_eq!(refused, Err("a timeout is at least 1 ms".into()));
    assert_eq!(target.connections(), 0);
}
