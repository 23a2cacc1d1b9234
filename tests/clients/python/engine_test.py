"""Python's clickhouse-connect against the embedded engine."""

import datetime
import os
import threading
import unittest
import urllib.parse

import clickhouse_connect
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

ADDRESS = urllib.parse.urlsplit(os.environ["METKA_ENGINE_URL"])
SECRET = os.environ["METKA_ENGINE_SECRET"]
MILLION = 1_000_000


def client(**options):
    return clickhouse_connect.get_client(
        host=ADDRESS.hostname, port=ADDRESS.port, username="default", password=SECRET, **options
    )


def visit(number):
    return [
        number,
        f"visit {number} привет \0 '\\",
        None if number % 3 else "a note",
        [f"tag{number % 5}"] * (number % 3),
        number / 8,
        datetime.date(2026, 1, 1) + datetime.timedelta(days=number % 300),
    ]


COLUMNS = ["id", "name", "note", "tags", "score", "day"]


class EngineTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = client()

    def table(self, name):
        self.client.command(f"DROP TABLE IF EXISTS {name}")
        self.client.command(
            f"CREATE TABLE {name} (id UInt64, name String, note Nullable(String), tags Array(String),"
            " score Float64, day Date) ENGINE = MergeTree ORDER BY id"
        )
        return name

    def test_rows_come_back_as_they_were_inserted(self):
        for compress in (True, False, "lz4", "zstd", "gzip"):
            with self.subTest(compress=compress):
                connected = client(compress=compress)
                table = self.table("round_trip")
                rows = [visit(number) for number in range(5000)]
                written = connected.insert(table, rows, column_names=COLUMNS)
                self.assertEqual(written.written_rows, 5000)
                result = connected.query(f"SELECT * FROM {table} ORDER BY id")
                self.assertEqual([list(row) for row in result.result_rows], rows)
                self.assertEqual(list(result.column_names), COLUMNS)

    def test_parameters_are_bound(self):
        hostile = "it's \\ {x} ; -- \" привет\n\t"
        result = self.client.query(
            "SELECT {s:String}, {n:Int64}, {a:Array(String)}, {d:DateTime}, {none:Nullable(String)}, {b:Bool}",
            parameters={
                "s": hostile,
                "n": -5,
                "a": ["a", hostile],
                "d": datetime.datetime(2026, 11, 23, 1, 2, 3),
                "none": None,
                "b": True,
            },
        )
        self.assertEqual(
            result.first_row,
            (hostile, -5, ["a", hostile], datetime.datetime(2026, 11, 23, 1, 2, 3), None, True),
        )
        many = list(range(20_000))
        counted = self.client.query("SELECT length({a:Array(UInt64)})", parameters={"a": many})
        self.assertEqual(counted.first_row, (20_000,))

    def test_a_million_rows_stream(self):
        table = self.table("million")
        self.client.command(
            f"INSERT INTO {table} (id, name) SELECT number, toString(number) FROM numbers({MILLION})"
        )
        seen = 0
        with self.client.query_row_block_stream(f"SELECT id, name FROM {table} ORDER BY id") as stream:
            for block in stream:
                for row in block:
                    self.assertEqual(row, (seen, str(seen)))
                    seen += 1
        self.assertEqual(seen, MILLION)

    def test_raw_streams_in_other_formats(self):
        with self.client.raw_stream("SELECT number FROM numbers(200000)", fmt="CSVWithNames") as stream:
            lines = stream.read().decode().splitlines()
        self.assertEqual(lines, ['"number"'] + [str(number) for number in range(200_000)])

    def test_exceptions_have_their_code(self):
        with self.assertRaises(DatabaseError) as raised:
            self.client.query("SELECT * FROM nosuch")
        self.assertIn("60", str(raised.exception))
        self.assertIn("UNKNOWN_TABLE", str(raised.exception))
        with self.assertRaises(DatabaseError) as raised:
            self.client.command("SELECT throwIf(1)")
        self.assertIn("395", str(raised.exception))
        with self.assertRaises(DatabaseError):
            clickhouse_connect.get_client(
                host=ADDRESS.hostname, port=ADDRESS.port, username="default", password="wrong"
            )

    def test_an_exception_in_mid_stream_is_raised(self):
        for compress in (False, True):
            with self.subTest(compress=compress):
                connected = client(compress=compress)
                seen = 0
                with self.assertRaises((StreamFailureError, DatabaseError)) as raised:
                    with connected.query_row_block_stream(
                        "SELECT number, throwIf(number = 900000) FROM numbers(1000000)"
                    ) as stream:
                        for block in stream:
                            seen += len(block)
                self.assertGreater(seen, 0)
                self.assertIn("395", str(raised.exception))

    def test_queries_run_at_the_same_time(self):
        answers = {}

        def ask(number):
            answers[number] = client().query(
                f"SELECT sum(number) + {number} FROM numbers(1000000)"
            ).first_row[0]

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(answers, {number: 499_999_500_000 + number for number in range(16)})

    def test_settings_hold_for_their_query_only(self):
        usual = self.client.query("SELECT getSetting('max_block_size')").first_row
        changed = self.client.query("SELECT getSetting('max_block_size')", settings={"max_block_size": 77})
        self.assertEqual(changed.first_row, (77,))
        self.assertEqual(self.client.query("SELECT getSetting('max_block_size')").first_row, usual)

    def test_the_session_of_a_client_keeps_temporary_tables(self):
        connected = client()
        connected.command("CREATE TEMPORARY TABLE mine (a Int32)")
        connected.insert("mine", [[1], [2]], column_names=["a"], column_type_names=["Int32"])
        self.assertEqual(connected.query("SELECT sum(a) FROM mine").first_row, (3,))
        with self.assertRaises(DatabaseError):
            self.client.query("SELECT sum(a) FROM mine")

    def test_an_empty_answer_is_empty(self):
        result = self.client.query("SELECT 1 AS a WHERE 0")
        self.assertEqual(result.result_rows, [])


if __name__ == "__main__":
    unittest.main()
