#!/usr/bin/env python3
"""The work of bench/run: starts weir, measures it from outside, prints a table."""
import os, shutil, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
WEIR, RUNS, EVENTS = os.environ["WEIR_BINARY"], int(os.environ["RUNS"]), int(os.environ["EVENTS"])
KAFKA_EVENTS = {"w1": 1840000, "w2": 2000000, "w3": 1840000, "w4": 1840000, "w5": 1960000, "w6": 1600000, "w7": 1840000,
                "w8": 1840000}


def measure(arguments, stop_at_ready=False):
    """-> seconds to READY, seconds from there to the end, CPU seconds, peak RSS in MiB"""
    began = time.monotonic()
    process = subprocess.Popen([WEIR] + arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    ready = 0.0
    for line in process.stdout:
        if line.startswith(b"READY"):
            ready = time.monotonic() - began
            if stop_at_ready:
                process.terminate()
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit("weir failed: %s\n%s" % (" ".join(arguments), errors.decode()))
    return ready, time.monotonic() - began - ready, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def row(name, events, runs):
    seconds, cpu, rss = min(r[1] for r in runs), min(r[2] for r in runs), max(r[3] for r in runs)
    print("| %s | %d | %.2f | %.2f | %.2f | %.0f | %.0f |" % (name, events, seconds, events / seconds / 1e6, cpu / events * 1e6,
                                                              rss, min(r[0] for r in runs) * 1000), flush=True)


def header():
    print("| workload | events | s | M events/s | CPU µs/event | peak RSS MiB | start-up ms |\n|---|---:|---:|---:|---:|---:|---:|", flush=True)


def script(folder, text):
    path = os.path.join(folder, "job.sql")
    with open(path, "w") as f:
        f.write(text)
    return path


def lines(kind, events, keys):
    """Records as `weir produce` reads them; keys in an order that is the same in every run."""
    for i in range(events):
        n = i * 2654435761 % (1 << 32) % keys
        if kind == "w2":
            yield "[2021-05-01 14:%02d:%02d] IP: 192.%d.%d.%d, User: u%d, Action: Login\n" % (
                i * 10 // events, i * 600 // events % 60, n >> 16 & 255, n >> 8 & 255, n & 255, n % 1000)
        else:
            yield '{"auction":%d,"bidder":%d,"price":%d,"channel":"Google","url":"https://example.com/item?channel_id=%d","extra":"%s"}\n' % (
                n, n * 7 % 100003, 100 + i % 10000, i % 1000, "x" * 100)


LOCAL = {
    "w2": "CREATE STREAM access_log (line VARCHAR) WITH (KAFKA_TOPIC='access_log', VALUE_FORMAT='KAFKA');\n"
          "CREATE TABLE results WITH (VALUE_FORMAT='JSON') AS SELECT REGEXP_EXTRACT('IP: ([0-9.]+)', line, 1) AS k, COUNT(*) AS cnt, MAX(ROWTIME) AS last_ts\n"
          "FROM access_log WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY REGEXP_EXTRACT('IP: ([0-9.]+)', line, 1) EMIT CHANGES;\n",
    "w8": "CREATE STREAM bid (auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, extra VARCHAR)\n"
          "WITH (KAFKA_TOPIC='bid', VALUE_FORMAT='JSON');\n"
          "CREATE TABLE results WITH (VALUE_FORMAT='JSON') AS SELECT auction, COUNT(*) AS cnt, SUM(price) AS total, AVG(price) AS average, MIN(price) AS least,\n"
          "MAX(price) AS most, MAX(ROWTIME) AS last_ts FROM bid GROUP BY auction EMIT CHANGES;\n",
}


def local_job(name, kind, events, keys):
    topic = "access_log" if kind == "w2" else "bid"
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        filled = os.path.join(folder, "filled")
        subprocess.run([WEIR, "--data", filled], input=("CREATE STREAM raw (line VARCHAR) WITH (KAFKA_TOPIC='%s', "
                       "VALUE_FORMAT='KAFKA', PARTITIONS=4);\n" % topic).encode(), stdout=subprocess.DEVNULL, check=True)
        producer = subprocess.Popen([WEIR, "produce", topic, "--data", filled], stdin=subprocess.PIPE, text=True)
        for line in lines(kind, events, keys):
            producer.stdin.write(line)
        producer.stdin.close()
        if producer.wait() != 0:
            sys.exit("weir produce failed")
        job = script(folder, LOCAL[kind])
        for _ in range(RUNS):
            data = os.path.join(folder, "data")
            shutil.copytree(filled, data)
            os.sync()  # or the first commit would wait for the copy
            runs.append(measure(["run", "--data", data, "--threads", "2", "--set", "auto.offset.reset=earliest", "--announce-ready",
                                 "--until-end", job]))
            shutil.rmtree(data)
    row(name, events, runs)


def local():
    header()
    local_job("w2, embedded, 20,000 addresses", "w2", EVENTS, 20000)
    local_job("w8, embedded, 100,000 keys", "w8", EVENTS, 100000)
    if "MANY" in os.environ:
        local_job("w8, embedded, many keys", "w8", int(os.environ["MANY"]), int(os.environ["MANY"]))


def kafka(broker, workloads):
    header()
    for workload in workloads or sorted(KAFKA_EVENTS):
        runs = []
        for i in range(RUNS):
            service = "bench-%s-%d" % (workload, time.time() * 1000)
            with tempfile.TemporaryDirectory() as folder:
                runs.append(measure(["run", "--kafka", broker, "--data", folder, "--service", service, "-D",
                                     "IN_PREFIX=" + ("big-" if workload == "w6" else ""), "-D", "OUT_TOPIC=%s.out" % service,
                                     "--set", "auto.offset.reset=earliest", "--announce-ready", "--until-end",
                                     os.path.join(HERE, "peers", workload + ".sql")]))
        row(workload + ", Kafka", KAFKA_EVENTS[workload], runs)


if sys.argv[1] == "local":
    local()
else:
    kafka(sys.argv[2], sys.argv[3:])
