"""What does a request wait longer for when nginx or HAProxy carries trace context and logs it?

In pairs: one request through the balancer as it is, one through the same balancer with our configuration, turn by
turn on connections that are kept open, in front of an application that answers at once.
"""

import asyncio
import http.client
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import create_connection, create_server

from cpdd.cli._lb_haproxy import haproxy_config
from cpdd.cli._lb_nginx import nginx_config

PAIRS = 3_000
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def serve_app(port: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):  # a balancer that hangs up
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(ANSWER)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    await server.serve_forever()


def nginx(folder: Path, app: int, ports: tuple[int, int]) -> list[str]:
    """One nginx with two servers, ours inside the second."""
    (folder / "ours.conf").write_text(nginx_config(None, str(folder / "log.json")))
    lines = (folder / "ours.conf").read_text().splitlines()
    inside = [line for line in lines if line.startswith(("proxy_", "add_header", "access_log"))]
    outside = [line for line in lines if line not in inside]
    paths = "".join(f"{name}_temp_path {folder}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    common = f"location / {{ proxy_http_version 1.1; proxy_pass http://127.0.0.1:{app}; }}"
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors; events {{}}\n"
        f"http {{ {paths}\n" + "\n".join(outside) + "\nkeepalive_requests 1000000;\n"
        f"server {{ listen 127.0.0.1:{ports[0]}; access_log {folder}/plain.log; {common} }}\n"
        f"server {{ listen 127.0.0.1:{ports[1]};\n" + "\n".join(inside) + f"\n{common} }} }}\n"
    )
    return [program("nginx"), "-c", str(config)]


def haproxy(folder: Path, app: int, ports: tuple[int, int]) -> list[str]:
    """One HAProxy with two frontends, ours inside the second."""
    config = folder / "haproxy.cfg"
    config.write_text(
        "global\n    log stdout format raw local0\ndefaults\n    mode http\n    log global\n    option httplog\n"
        "    timeout connect 1s\n    timeout client 60s\n    timeout server 60s\n"
        f"frontend plain\n    bind 127.0.0.1:{ports[0]}\n    default_backend app\n"
        f"frontend ours\n    bind 127.0.0.1:{ports[1]}\n{haproxy_config(None)}    default_backend app\n"
        f"backend app\n    server app 127.0.0.1:{app}\n"
    )
    return [program("haproxy"), "-f", str(config)]


def program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        sys.exit(f"{name} is not installed")
    return found


@contextmanager
def running(command: list[str], ports: tuple[int, ...]) -> Iterator[None]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            for port in ports:
                _wait_for(port)
            yield
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    for _ in range(200):
        try:
            create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    sys.exit(f"nothing listens at {port}")


def free_port() -> int:
    with create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def request_us(connection: http.client.HTTPConnection) -> float:
    begun = time.perf_counter_ns()
    connection.request("GET", "/", headers={"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"})
    connection.getresponse().read()
    return (time.perf_counter_ns() - begun) / 1000


def compare(name: str, configure: Callable[[Path, int, tuple[int, int]], list[str]], app: int) -> None:
    ports = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder, running(configure(Path(folder), app, ports), ports):
        plain, ours = (http.client.HTTPConnection("127.0.0.1", port) for port in ports)
        for connection in (plain, ours):
            for _ in range(100):
                request_us(connection)
        pairs = [(request_us(plain), request_us(ours)) for _ in range(PAIRS)]
    added = sorted(mine - without for without, mine in pairs)
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    quartiles = f"{added[PAIRS // 4]:.0f} to {added[-PAIRS // 4]:.0f}"
    print(f"{name:<8} plain {medians[0]:6.0f} us   ours {medians[1]:6.0f} us", end="   ")
    print(f"added, median of {PAIRS} pairs: {statistics.median(added):.0f} us (quartiles {quartiles})")


def main() -> None:
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    app = free_port()
    with running([sys.executable, __file__, "--app", str(app)], (app,)):
        compare("nginx", nginx, app)
        compare("haproxy", haproxy, app)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--app"]:
        asyncio.run(serve_app(int(sys.argv[2])))
    else:
        main()
