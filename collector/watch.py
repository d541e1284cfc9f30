"""What committer, analyzer and store say of themselves, as metrics that are read when somebody asks."""

from collections.abc import Callable

from collector.analyze import Progress
from collector.background import Share
from collector.core.shares import SHARES
from collector.follow import Following
from collector.judge import Judging
from collector.metrics import Metrics
from collector.receive.intake import Intake
from collector.receive.limits import InflightBytes
from collector.retain import Retaining
from collector.store.writer import Committer
from collector.webhook import Delivery


def watch_commits(metrics: Metrics, committer: Committer, inflight: InflightBytes) -> None:
    """Show what is on its way into the store."""
    metrics.gauge(
        "cpdd_receiver_inflight_bytes", "Bytes of requests being read or decoded", lambda: float(inflight.used)
    )
    metrics.gauge(
        "cpdd_commit_queue_bytes", "Encoded bytes that wait to be stored", lambda: committer.stats().pending_bytes
    )
    metrics.gauge(
        "cpdd_commit_queue_batches",
        "Blocks that wait to be stored; requests that come together are one",
        lambda: committer.stats().pending_batches,
    )
    metrics.counter("cpdd_commits", "Groups that were stored", lambda: committer.stats().groups)
    metrics.counter("cpdd_committed_spans", "Spans that were stored", lambda: committer.stats().rows)
    metrics.counter(
        "cpdd_commits_failed", "Groups that the store did not take", lambda: committer.stats().failed_groups
    )
    metrics.counter(
        "cpdd_batches_refused", "Requests that the store can never take", lambda: committer.stats().refused_batches
    )


def watch_analyzer(metrics: Metrics, progress: Progress, intake: Intake, share: Share) -> None:
    """Show how far analysis is."""
    counters: dict[str, tuple[str, Callable[[], float]]] = {
        "cpdd_analyzer_spans": ("Spans that the analyzer has read", lambda: progress.spans),
        "cpdd_analyzer_traces": ("Analyses of traces, repetitions included", lambda: progress.traces),
        "cpdd_analyzer_repeated": ("Analyses of traces that late spans opened again", lambda: progress.repeated),
        "cpdd_analyzer_failures": ("Rounds that failed and were begun again", lambda: progress.failures),
    }
    for name, (documentation, read) in counters.items():
        metrics.counter(name, documentation, read)
    metrics.gauge("cpdd_analyzer_open_traces", "Traces that are not closed yet", lambda: progress.open_traces)
    metrics.gauge("cpdd_analyzer_open_spans", "Spans of traces that are not closed yet", lambda: progress.open_spans)
    metrics.gauge(
        "cpdd_analyzer_lag_seconds",
        "Between the newest span that is stored and the newest that the analyzer has read",
        lambda: lag_s(intake.newest_stored_unix_nano, progress.newest_arrival_unix_nano) if share.shares else 0.0,
    )
    metrics.gauge(
        "cpdd_analyzer_turn",
        "1 where this collector judges and writes minutes, 0 where another does",
        lambda: share.mine,
    )
    metrics.gauge(
        "cpdd_analyzer_shares", f"Shares of the traces analyzed here, of {SHARES}", lambda: float(len(share.shares))
    )


def watch_follower(metrics: Metrics, following: Following) -> None:
    """Show what was taken over of a table that is followed."""
    metrics.counter("cpdd_followed_spans", "Spans taken over from the table that is followed", lambda: following.spans)
    metrics.counter("cpdd_follow_failures", "Looks into the followed table that failed", lambda: following.failures)
    metrics.gauge(
        "cpdd_followed_until_seconds",
        "Unix time up to which spans that began are taken over, but for those that come late",
        lambda: following.until_unix_nano / 1e9,
    )


def watch_judge(metrics: Metrics, judging: Judging, delivery: Delivery | None) -> None:
    """Show how many findings there are, and whether they are told."""
    metrics.gauge("cpdd_open_findings", "Findings that are open", lambda: judging.open_findings)
    metrics.gauge("cpdd_judge_seconds", "How long the last look for findings took", lambda: judging.took_s)
    metrics.counter("cpdd_judge_rounds", "Looks for findings", lambda: judging.rounds)
    metrics.counter("cpdd_judge_failures", "Looks for findings that failed", lambda: judging.failures)
    if delivery is not None:
        metrics.counter("cpdd_webhook_sent", "Messages that the webhook took", lambda: delivery.sent)
        metrics.counter("cpdd_webhook_dropped", "Messages that could not be delivered", lambda: delivery.dropped)


def watch_retention(metrics: Metrics, retaining: Retaining) -> None:
    """Show how full the disk is, and what had to go."""
    metrics.gauge("cpdd_store_bytes", "What the tables take on disk", lambda: retaining.used_bytes)
    metrics.gauge("cpdd_store_ceiling_bytes", "What they may take; 0: no ceiling", lambda: retaining.ceiling_bytes)
    metrics.gauge("cpdd_pinned_traces", "Traces that stay until they are released", lambda: retaining.pinned_traces)
    metrics.counter("cpdd_kept_traces", "Traces that were chosen to be kept longer", lambda: retaining.kept_traces)
    metrics.counter("cpdd_store_dropped_bytes", "Deleted because of the ceiling", lambda: retaining.dropped_bytes)
    metrics.counter("cpdd_store_dropped_rows", "Deleted because of the ceiling", lambda: retaining.dropped_rows)
    metrics.counter("cpdd_retention_failures", "Rounds of retention that failed", lambda: retaining.failures)


def lag_s(newest_stored_unix_nano: int, newest_read_unix_nano: int) -> float:
    """Return how far reading is behind storing; 0 where all that was stored since the start has been read."""
    return max(0.0, (newest_stored_unix_nano - newest_read_unix_nano) / 1e9) if newest_stored_unix_nano else 0.0
