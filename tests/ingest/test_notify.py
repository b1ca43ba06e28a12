"""Messages reach mail servers and webhooks; what cannot be told harms no import and gives no secret away."""

from __future__ import annotations

import logging
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from battery_analysis.ingest.news import LISTED, News, message_of, of_job, of_retention, of_stalled_test
from battery_analysis.ingest.notify import send
from battery_analysis.settings.notify import EmailTarget, Event, Notify, UrlTarget
from tests.ingest.targets import mail_server, web_server

FAILED = News("failed", "x.csv: no <records>\nat all", facts={"path": "x.csv"})
DONE = News("completed", "import of /lab completed: 2 created", ("job 1",))


def email(port: int, *events: Event, **options: object) -> EmailTarget:
    facts = {"host": "127.0.0.1", "to": ("a@lab.org", "b@lab.org"), "sender": "lab@lab.org", "port": port, **options}
    target = EmailTarget(**{"starttls": False, **facts})  # type: ignore[arg-type]
    return replace(target, events=events) if events else target


def test_one_message_says_all_by_kind_and_counts_what_it_does_not_list() -> None:
    many = [News("failed", f"{number}.csv: empty") for number in range(LISTED + 3)]
    message = message_of([*many, DONE], "lab1")
    assert message.subject == f"battery-analysis on lab1: 1 completed, {LISTED + 3} failed"
    lines = message.text.splitlines()
    assert lines[:2] == ["import of /lab completed: 2 created", "    job 1"]
    assert (lines[-1], len(lines)) == ("and 3 more failed", LISTED + 3)
    assert message_of([FAILED], "lab1").subject == "battery-analysis on lab1: x.csv: no <records>\\nat all"


def test_a_job_is_completed_without_failures_only_and_what_a_user_ended_is_no_news() -> None:
    job = {"id": "7", "root": "/lab", "state": "completed", "reason": None, "counts": {"created": 2, "failed": 0}}
    done = of_job(job, [])
    assert done is not None
    assert (done.event, done.text) == ("completed", "import of /lab completed: 2 created")
    failed = of_job({**job, "counts": {"created": 2, "failed": 3}}, [("x.csv", "empty")])
    assert failed is not None
    assert (failed.event, failed.details) == ("failed", ("job 7", "x.csv: empty", "and 2 more failed"))
    lost = of_job({**job, "state": "failed", "reason": "no answer", "counts": {}}, [])
    assert lost is not None
    assert lost.text == "import of /lab failed (no answer): no files found"
    assert [of_job({**job, "state": state}, []) for state in ("paused", "cancelled")] == [None, None]


def test_stalled_tests_and_aged_cells_in_words() -> None:
    facts = {"name": "x.mpr", "sample": "AB12", "channel": "3", "records": 7, "finished": None}
    assert of_stalled_test(facts, 25.2).text == (
        "test x.mpr of AB12, channel 3: no new records for 25 h (7 so far); "
        "the file does not say whether it has finished"
    )
    aged = {"name": "x.mpr", "sample": "AB12", "cell_code": "AB12", "cycles": 300, "capacity_retention": 0.7954}
    assert of_retention(aged, 0.8).text == (
        "cell AB12: capacity retention 79.5% after 300 cycles, under 80% (test x.mpr of AB12)"
    )


def test_a_mail_arrives_with_all_in_it() -> None:
    with mail_server() as box:
        assert send(Notify((email(box.port),)), [FAILED, DONE])
    (mail,) = box.mails
    assert (mail["From"], mail["To"]) == ("lab@lab.org", "a@lab.org, b@lab.org")
    assert mail["Subject"].endswith(": 1 completed, 1 failed")
    assert "x.csv: no <records>\\nat all" in mail.get_content()
    assert mail["Date"] and mail["Message-ID"]


def test_each_target_gets_what_it_wants_and_one_that_wants_nothing_is_no_failure() -> None:
    with web_server() as hook, mail_server() as box:
        notify = Notify((email(box.port, "stalled"), UrlTarget("webhook", hook.url, events=("failed",))))
        assert send(notify, [FAILED, DONE])
        assert send(notify, [DONE])
    assert box.mails == []
    (body,) = hook.bodies
    assert (body["source"], body["news"]) == (
        "battery-analysis",
        [{"event": "failed", "text": FAILED.text, "path": "x.csv"}],
    )


def test_slack_gets_text_without_markup() -> None:
    with web_server() as hook:
        assert send(Notify((UrlTarget("slack", url_env="HOOK"),)), [FAILED], {"HOOK": hook.url})
    ((name, text),) = hook.bodies[0].items()
    assert name == "text"
    assert text.splitlines()[1] == "x.csv: no &lt;records&gt;\\nat all"


def test_a_target_that_fails_is_a_warning_and_the_others_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with web_server() as bad, web_server() as moved, web_server() as good, mail_server("right") as box:
        bad.status, moved.status, moved.location = 403, 302, good.url
        targets = (
            UrlTarget("slack", bad.url),
            UrlTarget("webhook", moved.url),
            UrlTarget("webhook", url_env="ABSENT"),
            UrlTarget("webhook", url_env="ODD"),
            email(box.port, user="ada", password="hunter2"),
            email(1, host="127.0.0.1"),
            UrlTarget("webhook", good.url),
        )
        with caplog.at_level(logging.WARNING):
            assert send(Notify(targets), [FAILED], {"ODD": "gopher://hunter2"})
        assert not send(Notify(targets[:1]), [FAILED], {})
    assert len(good.bodies) == 1
    assert [record.message.partition(": ")[2] for record in caplog.records[:4]] == [
        "it answered 403 Forbidden",
        "it answered 302 Found",
        "variable ABSENT is not set",
        "must be an address that begins with https:// or http://",
    ]
    assert "Connection refused" in caplog.records[5].message
    assert len(caplog.records) == 7
    assert "hunter2" not in caplog.text + repr(targets)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, *subject]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl to make a certificate with")
    return key, cert


def test_a_password_is_sent_only_through_tls_to_a_server_that_is_vouched_for(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with mail_server("hunter2", tls_context=context, require_starttls=True) as box:
        target = email(box.port, host="localhost", starttls=True, user="ada", password_env="SMTP_PASSWORD")
        environ = {"SMTP_PASSWORD": "hunter2"}
        assert not send(Notify((target,)), [DONE], environ)
        assert "certificate verify failed" in caplog.text
        assert box.logins == []
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        assert send(Notify((target,)), [DONE], environ)
    assert box.logins == [("ada", "hunter2")]
    assert len(box.mails) == 1
