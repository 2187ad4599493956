//! Conversations, cut into pieces in every way that a network may.

use super::{Conversation, UNANSWERED_MAX};

enum Said<'a> {
    Client(&'a [u8]),
    Upstream(&'a [u8]),
}

use Said::{Client, Upstream};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: app\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn state(conversation: &Conversation) -> &'static str {
    match conversation {
        Conversation::Untouched => "untouched",
        Conversation::Opaque => "opaque",
        Conversation::Http(_) if conversation.is_idle() => "idle",
        Conversation::Http(_) if conversation.is_over() => "over",
        Conversation::Http(_) => "under way",
    }
}

fn say(conversation: &mut Conversation, said: &Said<'_>, from: usize, to: usize) {
    match said {
        Client(bytes) => {
            let mut rest = &bytes[from..to];
            while !rest.is_empty() {
                let looked_at = conversation.request(rest);
                assert_ne!(looked_at, 0, "it comes to an end");
                rest = &rest[looked_at..];
            }
        }
        Upstream(bytes) if from < to => conversation.response(&bytes[from..to]),
        Upstream(_) => {}
    }
}

fn length(said: &Said<'_>) -> usize {
    let (Client(bytes) | Upstream(bytes)) = said;
    bytes.len()
}

/// What has become of it, however the pieces were cut.
fn after(script: &[Said<'_>]) -> &'static str {
    let mut whole = Conversation::default();
    let mut bytewise = Conversation::default();
    for said in script {
        say(&mut whole, said, 0, length(said));
        for at in 0..length(said) {
            say(&mut bytewise, said, at, at + 1);
        }
    }
    assert_eq!(state(&bytewise), state(&whole), "byte by byte");
    for (cut_one, _) in script.iter().enumerate() {
        for cut in 0..length(&script[cut_one]) {
            let mut conversation = Conversation::default();
            for (number, said) in script.iter().enumerate() {
                let cut = if number == cut_one { cut } else { 0 };
                say(&mut conversation, said, 0, cut);
                say(&mut conversation, said, cut, length(said));
            }
            assert_eq!(
                state(&conversation),
                state(&whole),
                "cut at {cut} of {cut_one}"
            );
        }
    }
    state(&whole)
}

#[test]
fn an_exchange_is_under_way_until_its_response_has_ended() {
    assert_eq!(after(&[]), "untouched");
    assert_eq!(after(&[Client(b"G")]), "under way");
    assert_eq!(after(&[Client(GET)]), "under way");
    assert_eq!(
        after(&[Client(GET), Upstream(&OK[..OK.len() - 1])]),
        "under way"
    );
    assert_eq!(after(&[Client(GET), Upstream(OK)]), "idle");
    assert_eq!(
        after(&[Client(GET), Upstream(OK), Client(b"G")]),
        "under way"
    );
    assert_eq!(
        after(&[Client(GET), Upstream(OK), Client(GET), Upstream(OK)]),
        "idle"
    );
}

#[test]
fn a_request_with_a_body_is_under_way_until_both_have_ended() {
    let post = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n";
    assert_eq!(
        after(&[Client(post), Client(b"body"), Upstream(OK)]),
        "idle"
    );
    assert_eq!(
        after(&[Client(post), Client(b"bod"), Upstream(OK)]),
        "under way"
    );
    assert_eq!(
        after(&[Client(post), Upstream(OK), Client(b"body")]),
        "idle"
    );
}

#[test]
fn chunked_bodies_end_with_their_trailers() {
    let post = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                 4\r\nbody\r\nA;name=\"v\"\r\n0123456789\r\n0\r\nChecksum: 1\r\nMore: 2\r\n\r\n";
    let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    assert_eq!(after(&[Client(post), Upstream(answer)]), "idle");
    assert_eq!(
        after(&[Client(&post[..post.len() - 2]), Upstream(answer)]),
        "under way"
    );
    assert_eq!(
        after(&[Client(GET), Upstream(&answer[..answer.len() - 1])]),
        "under way"
    );
}

#[test]
fn responses_without_a_body_end_with_their_head() {
    let head = b"HEAD / HTTP/1.1\r\nHost: app\r\n\r\n";
    let long = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(after(&[Client(head), Upstream(long)]), "idle");
    assert_eq!(
        after(&[Client(head), Upstream(b"HTTP/1.1 200 OK\r\n\r\n")]),
        "idle"
    );
    for status in ["204 No Content", "304 Not Modified"] {
        let answer = format!("HTTP/1.1 {status}\r\nETag: 1\r\n\r\n");
        assert_eq!(after(&[Client(GET), Upstream(answer.as_bytes())]), "idle");
    }
    let empty = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(after(&[Client(GET), Upstream(empty)]), "idle");
}

#[test]
fn interim_responses_answer_nothing_yet() {
    let post = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
    assert_eq!(after(&[Client(post), Upstream(go_on)]), "under way");
    assert_eq!(
        after(&[Client(post), Upstream(go_on), Client(b"ok"), Upstream(OK)]),
        "idle"
    );
    let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    assert_eq!(
        after(&[Client(GET), Upstream(hints), Upstream(hints), Upstream(OK)]),
        "idle"
    );
}

#[test]
fn a_body_that_may_never_come_is_not_waited_for() {
    let post = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let refused = b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(after(&[Client(post), Upstream(refused)]), "opaque");
}

#[test]
fn requests_ahead_of_their_answers_are_seen_one_by_one() {
    let two = [GET, GET].concat();
    assert_eq!(after(&[Client(&two)]), "under way");
    assert_eq!(after(&[Client(&two), Upstream(OK)]), "under way");
    let answers = [OK, OK].concat();
    assert_eq!(after(&[Client(&two), Upstream(&answers)]), "idle");

    let mut conversation = Conversation::default();
    assert_eq!(conversation.request(&two), GET.len());
    assert!(conversation.is_between_requests());
}

#[test]
fn the_end_that_one_side_announces_is_the_end() {
    let last = b"HTTP/1.1 200 OK\r\nConnection: keep-alive, Close\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(after(&[Client(GET), Upstream(last)]), "over");
    let bye = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert_eq!(after(&[Client(bye)]), "under way");
    assert_eq!(after(&[Client(bye), Upstream(OK)]), "over");
    let old = b"GET / HTTP/1.0\r\n\r\n";
    assert_eq!(after(&[Client(old), Upstream(OK)]), "over");
}

#[test]
fn the_old_version_goes_on_when_both_sides_say_so() {
    let ask = b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n";
    let answer = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(after(&[Client(ask), Upstream(answer)]), "idle");
}

#[test]
fn another_protocol_is_opaque_from_its_first_word_on() {
    assert_eq!(after(&[Client(b"\x16\x03\x01\x02\x00\x01")]), "opaque");
    assert_eq!(after(&[Client(b"PRI * HTTP/2.0\r\n\r\n")]), "opaque");
    assert_eq!(after(&[Client(b"*1\r\n$4\r\nPING\r\n")]), "opaque");
    assert_eq!(
        after(&[Client(b"PING\r\n"), Upstream(b"+PONG\r\n")]),
        "opaque"
    );
    assert_eq!(after(&[Upstream(b"220 mail ready\r\n")]), "opaque");
    assert_eq!(
        after(&[Client(GET), Upstream(b"SSH-2.0-x\r\n\r\n")]),
        "opaque"
    );
}

#[test]
fn a_protocol_that_both_sides_change_to_is_opaque() {
    let ask = b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let switching = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(after(&[Client(ask)]), "under way");
    assert_eq!(after(&[Client(ask), Upstream(switching)]), "opaque");
    assert_eq!(after(&[Client(ask), Upstream(OK)]), "idle");
    let connect = b"CONNECT db:5432 HTTP/1.1\r\nHost: db\r\n\r\n";
    let connected = b"HTTP/1.1 200 OK\r\n\r\n";
    assert_eq!(after(&[Client(connect), Upstream(connected)]), "opaque");
}

#[test]
fn a_message_whose_end_is_uncertain_is_opaque() {
    for fields in [
        "Content-Length: 1\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 1",
        "Content-Length: 1\r\nContent-Length: 1",
        "Content-Length: +1",
        "Content-Length: 1, 1",
        "Content-Length:",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity",
    ] {
        let request = format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n");
        assert_eq!(after(&[Client(request.as_bytes())]), "opaque", "{fields}");
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n");
        assert_eq!(
            after(&[Client(GET), Upstream(answer.as_bytes())]),
            "opaque",
            "{fields}"
        );
    }
}

#[test]
fn a_response_that_lasts_as_long_as_the_connection_is_opaque() {
    let answer = b"HTTP/1.1 200 OK\r\n\r\n";
    assert_eq!(after(&[Client(GET), Upstream(answer)]), "opaque");
    let early = b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(after(&[Client(GET), Upstream(early)]), "opaque");
}

#[test]
fn chunks_that_are_not_written_as_they_should_be_are_opaque() {
    for chunks in [
        "4\nbody",
        "\r\n",
        "x\r\n",
        "4\r\nbodyX",
        "11111111111111111\r\n",
        "0\r\n\n",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        assert_eq!(
            after(&[Client(GET), Upstream(answer.as_bytes())]),
            "opaque",
            "{chunks:?}"
        );
    }
}

#[test]
fn what_nobody_has_asked_for_is_opaque() {
    let timeout = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(after(&[Upstream(timeout)]), "opaque");
    assert_eq!(
        after(&[Client(GET), Upstream(OK), Upstream(timeout)]),
        "opaque"
    );
    assert_eq!(after(&[Client(b"GET / HT"), Upstream(timeout)]), "opaque");
}

#[test]
fn an_empty_line_between_requests_begins_none() {
    assert_eq!(after(&[Client(GET), Upstream(OK), Client(b"\r\n")]), "idle");
    assert_eq!(after(&[Client(b"\r\n"), Client(GET), Upstream(OK)]), "idle");
}

#[test]
fn what_is_kept_of_a_client_has_a_bound() {
    let mut conversation = Conversation::default();
    conversation.request(b"GET / HTTP/1.1\r\nX: ");
    conversation.request(&[b'x'; 64 << 10]);
    assert_eq!(state(&conversation), "opaque");

    let mut conversation = Conversation::default();
    for _ in 0..UNANSWERED_MAX {
        conversation.request(GET);
    }
    assert_eq!(state(&conversation), "under way");
    conversation.request(GET);
    assert_eq!(state(&conversation), "opaque");
}
