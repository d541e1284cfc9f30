"""ClickHouse's HTTP interface in front of the embedded engine, in a process of its own.

    python -m tests.store.clickhouse_http DIRECTORY PORT      prints its port (0: a free one), serves until stdin closes
    python -m tests.store.clickhouse_http DIRECTORY PORT NAME      as the only server of the cluster NAME

So that `clickhouse://` runs against the real engine over the real protocol, through an unmodified client: query and
data in the body or the query in the address, bound parameters (also as a form), settings, formats, exception codes.
What a server has beyond that (users, sessions, compression of answers, progress) is left out. So is what the servers of
a cluster say to each other: Distributed tables are the engine's, with one shard that is here; a replicated table is
one that is not, ON CLUSTER is here, and nobody waits for a replica.
"""

import gzip
import json
import re
import sys
import tempfile
import threading
import zlib
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb
import lz4.frame  # type: ignore[import-untyped]
import zstandard

NOT_SETTINGS = {
    *("query", "database", "user", "password", "default_format", "session_id", "session_timeout", "session_check"),
    *("query_id", "quota_key", "role", "compress", "decompress", "wait_end_of_query", "buffer_size"),
    *("client_protocol_version", "enable_http_compression", "send_progress_in_http_headers"),
    *("http_headers_progress_interval_ms", "cancel_http_readonly_queries_on_client_close"),
    "prefer_localhost_replica",  # 0 would have the only server of a cluster call itself
}
DECODERS = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "lz4": lz4.frame.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}
INSERT_WITH_DATA = re.compile(rb"\s*(INSERT\s+INTO\s+[^;]*?)\s+FORMAT\s+(\w+)[ \t]*\r?\n", re.IGNORECASE)
HAS_RESULT = re.compile(rb"\s*(SELECT|WITH|SHOW|DESCRIBE|DESC|EXISTS|EXPLAIN)\b", re.IGNORECASE)
LAST_FORMAT = re.compile(rb"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)

CLUSTER = """<clickhouse>
<remote_servers><{name}><shard><internal_replication>true</internal_replication>
<replica><host>127.0.0.1</host><port>9000</port></replica></shard></{name}></remote_servers>
<tcp_port>9000</tcp_port>
</clickhouse>"""
"""A server that is alone in its cluster and knows itself by its port, on which nobody listens."""
REPLICATED = re.compile(rb"ENGINE = Replicated(\w*MergeTree)\('[^']*', '[^']*'(, )?")
ON_CLUSTER = re.compile(rb" ON CLUSTER '\w+'")


class Interface(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    directory: str

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet."""

    def _serve(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/ping":
            return self._answer(200, b"Ok.\n", {})
        parameters = dict(parse_qsl(address.query, keep_blank_values=True))
        body = self._body()
        if self.headers.get("Content-Type", "").startswith("multipart/form-data"):
            parameters |= _form(self.headers["Content-Type"], body)
            body = b""
        sql = parameters["query"].encode() + b"\n" + body if "query" in parameters else body
        try:
            self._answer(200, *self._execute(sql, parameters))
        except Exception as error:
            message = str(error)
            code = re.search(r"Code: (\d+)", message)
            self._answer(500, message.encode(), {"X-ClickHouse-Exception-Code": code[1] if code else "1002"})

    def _execute(self, sql: bytes, parameters: dict[str, str]) -> tuple[bytes, dict[str, str]]:
        if sql.startswith(b"SYSTEM SYNC REPLICA"):
            return b"", {}
        if b" ON CLUSTER " in sql[:200] and not sql.startswith(b"EXPLAIN"):
            sql = REPLICATED.sub(rb"ENGINE = \1(", ON_CLUSTER.sub(b"", sql))
        connection = chdb.connect(self.directory)  # type: ignore[no-untyped-call]
        try:
            for name, value in parameters.items():
                if name not in NOT_SETTINGS and not name.startswith("param_"):
                    connection.query(f"SET {name} = {_quoted(value)}")
            if database := parameters.get("database"):
                connection.query(f"USE `{database}`")
            if (insert := INSERT_WITH_DATA.match(sql)) and b"SELECT" not in insert[1].upper():
                return b"", {"X-ClickHouse-Summary": json.dumps({"written_rows": _insert(connection, sql, insert)})}
            bound = {name[6:]: value for name, value in parameters.items() if name.startswith("param_")}
            result = connection.query(sql.decode(), parameters.get("default_format", "TabSeparated"), params=bound)
            named = LAST_FORMAT.search(sql)
            headers = {"X-ClickHouse-Timezone": "UTC"}
            if HAS_RESULT.match(sql):
                headers["X-ClickHouse-Format"] = named[1].decode() if named else "TabSeparated"
            return bytes(result.bytes() or b""), headers
        finally:
            connection.close()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(chunks)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        decode = DECODERS.get(self.headers.get("Content-Encoding", ""))
        return decode(body) if decode else body

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _insert(connection: Any, sql: bytes, insert: re.Match[bytes]) -> str:
    """Insert the data behind the statement; return the number of rows.

    By way of a file: chDB 4.4's `send_insert` reports rows as written that the engine refused when it finished.
    """
    with tempfile.NamedTemporaryFile() as file:
        file.write(sql[insert.end() :])
        file.flush()
        into, data_format = insert[1].decode(), insert[2].decode()
        return str(connection.query(f"{into} FROM INFILE {_quoted(file.name)} FORMAT {data_format}").rows_read())


def _form(content_type: str, body: bytes) -> dict[str, str]:
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    return {
        str(part.get_param("name", header="content-disposition")): bytes(part.get_payload(decode=True)).decode()
        for part in message.iter_parts()
    }


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def main() -> None:
    Interface.directory = sys.argv[1]
    if sys.argv[3:]:
        config = Path(f"{sys.argv[1]}.xml")
        config.write_text(CLUSTER.format(name=sys.argv[3]))
        Interface.directory += f"?config-file={config}"
    # One handle stays open, so that the engine does.
    keeper = chdb.connect(Interface.directory)  # type: ignore[no-untyped-call]
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Interface)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    server.shutdown()
    serving.join()
    server.server_close()  # joins the threads of requests
    keeper.close()


if __name__ == "__main__":
    main()
