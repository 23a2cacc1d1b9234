"""schemathesis asks what /openapi.json describes: no fault of the server, and answers that are as described.

In: a server with a site, an owner's token. Questions are made from the description's schemas, and half of them from a
question that is right with some keys made up, so that answers of both kinds come. The same ones in every run; more with
METKA_SOAK=1.
"""

import collections
import copy
import http.server
import json
import os
import random
import threading
import time
import unittest

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

WEB = os.environ["METKA_WEB_URL"]
COLLECTOR = os.environ["METKA_COLLECTOR_URL"]
HEADERS = {"authorization": "Bearer " + os.environ["METKA_TOKEN"]}
CHECKS = [not_a_server_error, response_schema_conformance, content_type_conformance, status_code_conformance]
SITE = "clinic"
# How many questions of each operation: those of a run in CI, those of a long one.
EXAMPLES = (120, 4000)[os.environ.get("METKA_SOAK") == "1"]
# All operations together end here, in seconds, but for the first few of each; what is left out is said.
FIRST = 20
TIME = (45, 1800)[os.environ.get("METKA_SOAK") == "1"]
# Numbers: `/api/v2/…` and what of `/api/v1/…` answers about them.
NUMBERS = r"^/api/(v2/.*|v1/(live|sites|settings|refusals))$"

# A question that is right, by path; for a path that is not here it is what the description makes.
COMMON = {"site_id": SITE, "date_range": "7d", "filters": []}
QUERY = COMMON | {"metrics": ["visitors", "visits"], "dimensions": ["visit:source"]}
RIGHT = {
    "/api/v2/query": QUERY,
    "/api/v2/queries": {"site_id": SITE, "queries": [QUERY]},
    "/api/v2/funnel": COMMON | {"steps": ["Signup", "Home"]},
    "/api/v2/journeys": COMMON | {"from": None, "limit": 20},
    "/api/v2/retention": COMMON,
}
# Values that fit a key in one way or another, for keys of a right question.
TRIED = {
    "site_id": [SITE, "", "other", 7, None],
    "metrics": [["pageviews"], ["bounce_rate", "visit_duration"], ["events"], ["ad_ctr"], [], ["visitors"] * 2, "visitors", [1]],
    "date_range": ["day", "24h", "7d", "month", "6mo", "all", "0d", "99999mo", ["2026-01-01", "2026-02-01"], ["2026-02-01", "2026-01-01"], [""], {}],
    "dimensions": [[], ["time"], ["time:hour", "event:page"], ["event:props:a"], ["visit:city"], ["event:goal"], ["'"], [[]], ["event:page"] * 20],
    "filters": [
        [["is", "event:page", ["/"]]],
        [["matches", "visit:source", ["("]]],
        [["matches", "visit:source", ["^(a+)+$"]]],
        [["not", ["contains", "event:props:x", ["\x00", "é"], {"case_sensitive": False}]]],
        [["or", [["is", "visit:country", [""]], ["is_not", "visit:os", ["x"] * 300]]]],
        [["has_done", ["is", "event:name", ["signup"]]]],
        [["is", "segment", ["s1"]]],
        [["and", []]],
        "x",
        [[[[[[]]]]]],
    ],
    "order_by": [[["visitors", "desc"]], [["visitors", "up"]], [[]], "x"],
    "include": [{"total_rows": True}, {"time_labels": True}, {"totals": True}, {"comparisons": {"mode": "previous_period"}}, {"imports": 1}, {"x": 1}],
    "pagination": [{"limit": 1, "offset": 0}, {"limit": 0}, {"limit": 10**20}, {"offset": -1}],
    "limit": [0, 1, 10**9, -1, "1"],
    "from": ["/", "", 1],
    "steps": [[], ["Signup", "Signup"], ["x"] * 50, [1]],
    "funnel": ["f1", "", 1],
    "queries": [[], [{}] * 40, "x"],
}


def hits():
    """A few visits, so that answers have rows."""
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    for number in range(30):
        hit = {"s": SITE, "u": f"https://clinic.example/{number % 5}?utm_source=s{number % 3}", "r": "https://yandex.ru/"}
        body = [hit | {"k": "pageview"}, hit | {"k": "event", "n": "signup", "p": {"a": str(number)}}, hit | {"k": "ad_view", "ad": "banner"}]
        answer = requests.post(COLLECTOR + "/event", data=json.dumps(body), headers={"user-agent": agent, "x-forwarded-for": f"20.0.0.{number}"}, timeout=30)
        answer.raise_for_status()


def mutated(right, chosen, made):
    """A right question with a key or two of another value, or of the description's making."""
    question = copy.deepcopy(right)
    for _ in range(chosen.choice((0, 1, 1, 2))):
        key = chosen.choice(sorted(TRIED))
        question[key] = copy.deepcopy(chosen.choice(TRIED[key]))
    if isinstance(made, dict) and made and chosen.random() < 0.2:
        key = chosen.choice(sorted(made))
        question[key] = made[key]
    return question


def operations(schema):
    for found in schema.include(path_regex=NUMBERS).exclude(method=["PUT", "DELETE", "PATCH"]).get_all_operations():
        operation = found.ok()
        # What changes something is another suite's.
        if operation.method.upper() == "GET" or operation.path.startswith("/api/v2/"):
            yield operation


def described():
    return requests.get(WEB + "/openapi.json", timeout=30).json()


def ask(operation, base_url, statuses, until=None):
    """All examples of an operation; raises at the first answer that is not as it should be."""
    chosen = random.Random(operation.label)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def one(case):
        if until is not None and time.monotonic() > until and sum(statuses.values()) >= FIRST:
            statuses["left out"] += 1
            return
        right = RIGHT.get(operation.path)
        if right is not None and chosen.random() < 0.5:
            case.body = mutated(right, chosen, case.body)
        if operation.method.upper() == "GET" and chosen.random() < 0.5:
            case.query = dict(case.query or {}) | {"site_id": SITE}
        response = case.call(base_url=base_url, headers=HEADERS, timeout=60)
        statuses[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    one()


class Stub(http.server.BaseHTTPRequestHandler):
    """Answers everything with one status and body."""

    status, body = 500, b"{}"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(self.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_POST = do_GET

    def log_message(self, *_):
        pass


class DescribedTest(unittest.TestCase):
    def test_a_fault_and_a_wrong_shape_are_found(self):
        """The checks, on a server that is wrong."""
        schema = schemathesis.openapi.from_dict(described())
        for status, body in [(500, b'{"error":"x"}'), (400, b'{"mistake":"x"}')]:
            stub = type("Wrong", (Stub,), {"status": status, "body": body})
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), stub)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            operation = next(each for each in operations(schema) if each.path == "/api/v2/query")
            with self.assertRaises((Failure, FailureGroup)):
                ask(operation, f"http://127.0.0.1:{server.server_port}", collections.Counter())
            server.shutdown()
            server.server_close()

    def test_every_answer_about_numbers_is_as_described(self):
        hits()
        self.until_stored()
        for goal in [{"name": "Signup", "kind": "event", "value": "signup"}, {"name": "Home", "kind": "page", "value": "/0"}]:
            kept = requests.post(WEB + "/api/v1/settings", json={"site_id": SITE, "put": {"goal": goal}}, headers=HEADERS, timeout=60)
            self.assertEqual(kept.status_code, 200, kept.text)
        schema = schemathesis.openapi.from_dict(described())
        asked = list(operations(schema))
        paths = {operation.path for operation in asked}
        self.assertLessEqual({"/api/v2/query", "/api/v1/sites", "/api/v1/live"}, paths)
        start = time.monotonic()
        for turn, operation in enumerate(asked, 1):
            statuses = collections.Counter()
            # Each has its share of the time, and what others left of theirs.
            with self.subTest(operation.label):
                ask(operation, WEB, statuses, start + TIME * turn / len(asked))
                print(operation.label, dict(statuses))
                self.assertGreaterEqual(sum(statuses.values()) - statuses["left out"], FIRST)
                self.assertGreater(statuses[200], 0, "no question was right")
                if operation.method.upper() == "POST":
                    self.assertGreater(statuses[400], 0, "no question was wrong")
                self.assertEqual([status for status in statuses if status != "left out" and status >= 500], [])

    def until_stored(self):
        """The last hit is in the numbers."""
        question = {"site_id": SITE, "metrics": ["events"], "date_range": "day"}
        end = time.monotonic() + 120
        found = None
        while time.monotonic() < end:
            answer = requests.post(WEB + "/api/v2/query", json=question, headers=HEADERS, timeout=60).json()
            # A busy machine may also say that it takes too long.
            found = answer["results"][0]["metrics"][0] if "results" in answer else answer
            if found == 60:
                return
            time.sleep(0.05)
        self.fail(f"60 events are not stored: {found}")


if __name__ == "__main__":
    unittest.main()
