"""Reads CloudEvents with the official SDK, which refuses what is wrong with them.

Standard input: {"one": body, "pages": [body, …], "stream": [event, …],
"of_each_type": [event, …]}.
Standard output: how many of each were read. Fails at the first that is wrong.
"""

import json
import re
import sys

from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings import http
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

EXTENSIONS = {"severity", "recorded", "actor", "actorkind", "cause"}


def read_one(body: str) -> BaseCloudEvent:
    headers = {"content-type": "application/cloudevents+json"}
    return http.from_structured_event(http.HTTPMessage(headers, body.encode()))


def check(event: BaseCloudEvent) -> None:
    assert isinstance(event, CloudEvent), "it is of version 1.0"
    attributes = event.get_attributes()
    assert re.fullmatch(r"j[0-9a-f]+-[1-9][0-9]*", event.get_id()), attributes
    assert re.fullmatch(r"/nodes/n-[0-9a-f]+", event.get_source()), attributes
    assert event.get_type().startswith("io.tiny-forge."), attributes
    assert event.get_datacontenttype() == "application/json", attributes
    assert event.get_time().utcoffset().total_seconds() == 0, attributes
    assert event.get_subject(), attributes
    assert isinstance(event.get_data(), dict), attributes
    standard = {"id", "source", "type", "specversion", "datacontenttype", "subject", "time"}
    extensions = attributes.keys() - standard
    assert extensions <= EXTENSIONS, extensions
    assert {"severity", "recorded", "actorkind"} <= extensions, extensions
    for name in extensions:
        assert re.fullmatch(r"[a-z0-9]{1,20}", name), name
        assert isinstance(attributes[name], str) and attributes[name], attributes


def check_survives(event: BaseCloudEvent) -> None:
    """What the SDK writes is the event that it has read."""
    again = JSONFormat().read(None, JSONFormat().write(event))
    assert again.get_attributes() == event.get_attributes()
    assert again.get_data() == event.get_data()


def main() -> None:
    told = json.load(sys.stdin)
    read = {
        "one": [read_one(told["one"])],
        "pages": [read_one(json.dumps(event)) for page in told["pages"] for event in json.loads(page)],
        "stream": [read_one(json.dumps(event)) for event in told["stream"]],
        "of_each_type": [read_one(json.dumps(event)) for event in told["of_each_type"]],
    }
    types = {event.get_type() for event in read["of_each_type"]}
    assert len(types) == len(told["of_each_type"]), types
    for event in (event for events in read.values() for event in events):
        check(event)
        check_survives(event)
    print(json.dumps({name: len(events) for name, events in read.items()}))


main()
