"""What is known by name: services, their operations, and what services said of themselves."""

from clickhouse_connect.driver.client import Client

from collector.store.values import ServiceFacts

MAX_NAMES = 1_000
"""Operations that are looked for by a part of their name."""


def services(client: Client) -> list[str]:
    rows = client.query("SELECT DISTINCT Service FROM known_operations ORDER BY Service").result_rows
    return [str(row[0]) for row in rows]


def operations(client: Client, service: str) -> list[tuple[str, str]]:
    """Return (operation, kind) pairs; kind as in `Node.kind`."""
    rows = client.query(
        "SELECT DISTINCT Operation, Kind FROM known_operations WHERE Service = {service:String} ORDER BY ALL",
        {"service": service},
    ).result_rows
    return [(str(operation), str(kind)) for operation, kind in rows]


def operations_named(client: Client, text: str) -> list[tuple[str, str]]:
    """Return (service, operation) pairs of what has this text in its name, in any case; exact ones first."""
    rows = client.query(
        """
        SELECT DISTINCT Service, Operation FROM known_operations
        WHERE positionCaseInsensitiveUTF8(Operation, {text:String}) > 0
        ORDER BY lowerUTF8(Operation) != lowerUTF8({text:String}), Service, Operation LIMIT {limit:UInt32}
        """,
        {"text": text, "limit": MAX_NAMES},
    ).result_rows
    return [(str(service), str(operation)) for service, operation in rows]


def service_facts(client: Client, service: str) -> list[ServiceFacts]:
    """Return what services said of themselves (or one of them), by service, what was seen last first."""
    rows = client.query(
        """
        SELECT Service, Version, Revision, Repository, Owner, OwnerContact, OwnerUrl, Criticality,
            toUnixTimestamp(min(FirstSeen)) AS first, toUnixTimestamp(max(LastSeen)) AS last
        FROM service_facts WHERE {service:String} IN ('', Service)
        GROUP BY ALL ORDER BY Service, last DESC, first DESC
        """,
        {"service": service},
    ).result_rows
    return [
        ServiceFacts(
            service=str(row[0]),
            version=str(row[1]),
            revision=str(row[2]),
            repository=str(row[3]),
            owner=str(row[4]),
            owner_contact=str(row[5]),
            owner_url=str(row[6]),
            criticality=str(row[7]),
            first_seen_unix_nano=int(row[8]) * 1_000_000_000,
            last_seen_unix_nano=int(row[9]) * 1_000_000_000,
        )
        for row in rows
    ]
