"""What should be told of an address, by another reader of the databases.

Standard input: a line of JSON (`files`, in the order of `geo.files`; `datacentres`;
`zones`, the table of zones by country), then an address a line. Standard output: a
line of JSON for each, as a `Location` is serialized.

The reader is the `maxminddb` package in pure Python. What its records mean is
written here anew, from docs/location.md.
"""

import ipaddress
import json
import math
import sys

import maxminddb

LONGEST_NAME = 96
PROXIES = ["is_anonymous_vpn", "is_public_proxy", "is_residential_proxy", "is_tor_exit_node", "is_anonymous_proxy"]
MACHINES = ["hosting", "content_delivery_network", "search_engine_spider"]
LINES = ["Cable/DSL", "Corporate", "Dialup", "Satellite"]
PEOPLE = ["residential", "business", "college", "school", "government", "library", "cafe", "traveler", "military", "dialup"]
PEOPLE += ["satellite"]


def inner(address):
    """The IPv4 address inside, and how it got there."""
    if address.version == 4:
        return address, None
    if address.sixtofour is not None:
        return address.sixtofour, "6to4"
    if address.teredo is not None:
        return address.teredo[1], "teredo"
    if within(address, "64:ff9b::/96"):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF), "nat64"
    return address, None


def within(address, *networks):
    return any(address in ipaddress.ip_network(network) for network in networks)


def is_public(address):
    """By the standard library, but for what its releases do not agree on or leave routed."""
    if within(address, "2001::/23"):
        return within(address, "2001:3::/32", "2001:4:112::/48")
    if within(address, "192.88.99.0/24", "fec0::/10", "3fff::/20"):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def cut(name):
    return name.encode()[:LONGEST_NAME].decode(errors="ignore")


def without_district(city):
    before = city.split("(")[0].strip()
    return before if before or not city.startswith("(") else city.strip()


def part(record, *keys):
    for key in keys:
        if isinstance(record, list):
            record = record[0] if record else None
        record = record.get(key) if isinstance(record, dict) else None
    return record


def country(record):
    candidates = [
        record.get("country_code"),
        part(record, "country", "iso_code"),
        record.get("country"),
        part(record, "registered_country", "iso_code"),
    ]
    for code in candidates:
        if isinstance(code, str) and len(code) == 2 and code.isascii() and code.isalpha():
            return "" if code.upper() == "ZZ" else code.upper()
    return ""


def name(value):
    return value if isinstance(value, str) else part(value, "names", "en") or ""


def network(record):
    number = record.get("autonomous_system_number") or part(record, "traits", "autonomous_system_number")
    text = record.get("asn")
    if not number and isinstance(text, int):
        number = text
    if not number and isinstance(text, str) and text.removeprefix("AS").isdigit():
        number = int(text.removeprefix("AS"))
    called = record.get("autonomous_system_organization") or record.get("as_name")
    return number or 0, called or part(record, "traits", "autonomous_system_organization") or ""


def tenths(degrees):
    return int(math.copysign(math.floor(abs(degrees) * 10 + 0.5), degrees))


def point(place):
    latitude, longitude = place.get("latitude"), place.get("longitude")
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        return None
    return tenths(latitude), tenths(longitude)


def kind(traits):
    user, line = traits.get("user_type"), traits.get("connection_type")
    if any(traits.get(flag) for flag in PROXIES) or user == "consumer_privacy_network":
        return "proxy"
    if traits.get("is_hosting_provider") or user in MACHINES:
        return "hosting"
    if traits.get("is_anonymous"):
        return "proxy"
    if "cellular" in (user, (line or "").lower()):
        return "mobile"
    return "access" if line in LINES or user in PEOPLE else None


def angle(one, other):
    """Between two points, by the law of cosines on their vectors."""

    def vector(at):
        north, east = math.radians(at[0] / 10), math.radians(at[1] / 10)
        return math.cos(north) * math.cos(east), math.cos(north) * math.sin(east), math.sin(north)

    return math.acos(max(-1.0, min(1.0, sum(a * b for a, b in zip(vector(one), vector(other))))))


def derived(zones, here):
    if len(zones) == 1:
        return zones[0][0]
    return min(zones, key=lambda zone: angle(here, zone[1:]))[0] if zones and here else None


def zones_by_country(path):
    zones = {}
    for line in open(path, encoding="utf-8"):
        if not line.startswith("#"):
            code, *words = line.split()
            triples = zip(words[::3], words[1::3], words[2::3])
            zones[code] = [(zone, int(north), int(east)) for zone, north, east in triples]
    return zones


class Expected:
    def __init__(self, files, datacentres, zones):
        self.readers = [maxminddb.open_database(file, maxminddb.MODE_MEMORY) for file in files]
        self.datacentres = set(datacentres)
        self.zones = zones_by_country(zones)

    def records(self, address):
        for reader in self.readers:
            if address.version <= reader.metadata().ip_version:
                record = reader.get(address)
                if record is not None:
                    yield record

    def of(self, text):
        address, embedded = inner(ipaddress.ip_address(text))
        told = {"country": "", "region": "", "city": "", "asn": 0, "network": ""}
        told |= {"coordinates": None, "accuracy_km": None, "time_zone": None, "time_zone_source": None}
        told |= {"kind": "unknown", "public": is_public(address), "embedded": embedded}
        if not told["public"]:
            return told
        here, radius, zone = None, None, None
        for record in self.records(address):
            place, traits = record.get("location") or record, record.get("traits") or record
            if not told["country"] and country(record):
                told["country"] = country(record)
                region = record.get("state1") or name(part(record, "subdivisions", "names") and record["subdivisions"][0])
                told["region"] = cut(region or name(record.get("region")))
                told["city"] = cut(without_district(name(record.get("city"))))
                here, radius = point(place), place.get("accuracy_radius")
                zone = place.get("time_zone") or place.get("timezone")
            if not told["asn"]:
                number, called = network(record)
                told |= {"asn": number, "network": cut(called) if number else ""}
            if told["kind"] == "unknown":
                told["kind"] = kind(traits) or "unknown"
        if told["kind"] in ("unknown", "access") and told["asn"] in self.datacentres:
            told["kind"] = "hosting"
        if here:
            told["coordinates"] = {"latitude": here[0] / 10, "longitude": here[1] / 10}
        if told["country"]:
            level = 50 if told["city"] else 250 if told["region"] else 1000
            told["accuracy_km"] = max(8, radius or level)
            told["time_zone"] = zone or derived(self.zones.get(told["country"], []), here)
            if told["time_zone"]:
                told["time_zone_source"] = "database" if zone else "derived"
        return told


def main():
    expected = Expected(**json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        print(json.dumps(expected.of(line.strip()), ensure_ascii=False))


main()
