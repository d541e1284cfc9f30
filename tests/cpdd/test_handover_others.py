"""What handing over leaves as it was: errors, threads started twice, pools' own threads; and processes that end."""

import multiprocessing
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

import pytest
from opentelemetry import trace

tracer = trace.get_tracer("tests")


def current() -> int:
    return trace.get_current_span().get_span_context().trace_id


def test_a_thread_started_twice_fails_as_ever_and_runs_once(spans):
    ran: list[int] = []
    thread = threading.Thread(target=lambda: ran.append(current()))

    with tracer.start_as_current_span("request"):
        thread.start()
        with pytest.raises(RuntimeError, match="threads can only be started once"):
            thread.start()
    thread.join()

    assert len(ran) == 1
    assert "run" not in vars(thread)


def test_a_run_that_was_set_on_the_thread_itself_is_the_one_that_runs(spans):
    answer: Future[int] = Future()
    thread = threading.Thread()
    thread.run = lambda: answer.set_result(current())  # type: ignore[method-assign]
    own = thread.run

    with tracer.start_as_current_span("request"):
        mine = current()
        thread.start()

    assert answer.result(60) == mine
    thread.join()
    assert thread.run is own


def test_a_pool_that_a_request_made_does_not_stay_in_that_request(spans):
    with ThreadPoolExecutor(1) as pool:
        with tracer.start_as_current_span("first request"):
            pool.submit(int).result(60)
        seen = pool.submit(current).result(60)

    assert seen == 0


def test_what_a_function_raises_comes_back(spans):
    with ThreadPoolExecutor(1) as pool, tracer.start_as_current_span("request"):
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 1, 0).result(60)
        assert pool.submit(int, "11", base=2).result(60) == 3


def test_every_way_into_a_pool_of_threads_carries_the_trace(spans):
    with ThreadPool(1) as pool, tracer.start_as_current_span("request"):
        mine = current()
        seen = [
            pool.apply(seen_with, (1,)),
            *pool.map(seen_with, [1]),
            *pool.starmap(seen_with, [(1,)]),
            *pool.imap(seen_with, [1]),
            *pool.imap_unordered(seen_with, [1, 2], chunksize=2),
            *pool.map_async(seen_with, [1]).get(10),
            pool.apply_async(seen_with, (1,), {}).get(10),
        ]
        box: Future[int] = Future()
        pool.apply_async(divmod, (1, 0), error_callback=lambda _: box.set_result(current()))
        assert box.result(60) == mine

    assert seen == [mine] * 8


def seen_with(_: object) -> int:
    return current()


def test_a_pool_of_processes_carries_the_trace(spans):
    with multiprocessing.get_context("fork").Pool(1) as pool, tracer.start_as_current_span("request"):
        mine = current()
        assert pool.map(seen_with, [1, 2]) == [mine, mine]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_spans_of_a_worker_process_arrive_although_it_ends_without_atexit(tmp_path, run_program, method):
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing, sys\nfrom concurrent.futures import ProcessPoolExecutor\n"
        "from opentelemetry import trace\nimport cpdd\n"
        "from cpdd.exporters import PromptBatchProcessor\nfrom opentelemetry.sdk.trace.export import SpanExporter\n"
        "class File(SpanExporter):\n"
        "    def export(self, spans):\n"
        f"        with open({str(tmp_path / 'spans')!r}, 'a') as file:\n"
        "            file.writelines(f'{span.name} {span.context.trace_id}\\n' for span in spans)\n"
        "cpdd.init(service='x', processor=PromptBatchProcessor(File()), instrument=False)\n"
        "tracer = trace.get_tracer('x')\n"
        "def work():\n    tracer.start_span('work').end()\n"
        "if __name__ == '__main__':\n"
        f"    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context({method!r})) as pool:\n"
        "        with tracer.start_as_current_span('request'):\n            pool.submit(work).result(30)\n"
    )

    run_program(f"import runpy; runpy.run_path({str(program)!r}, run_name='__main__')")

    lines = [line.split() for line in (tmp_path / "spans").read_text().splitlines()]
    assert [name for name, _ in lines] == ["work", "request"]
    assert len({trace_id for _, trace_id in lines}) == 1
