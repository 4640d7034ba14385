"""What a program on redis-py does, with the results it must get. Started by python.test.ts with the server's port."""

import sys
import threading

import redis

PORT = int(sys.argv[1])
r = redis.Redis(port=PORT, decode_responses=True, socket_timeout=10)


def strings():
    assert r.ping()
    assert r.set("k", "v", ex=100) and r.get("k") == "v" and 0 < r.ttl("k") <= 100
    assert r.set("k", "w", nx=True) is None
    assert r.set("k", "w", get=True) == "v"
    assert r.incrbyfloat("f", 1.5) == 1.5
    assert r.mset({"a": 1, "b": 2}) and r.mget("a", "b", "none") == ["1", "2", None]
    assert redis.Redis(port=PORT).set("bin", bytes(range(256))) and redis.Redis(port=PORT).get("bin") == bytes(range(256))


def pipelines():
    with r.pipeline(transaction=False) as pipe:
        for i in range(1000):
            pipe.rpush("list", i)
        assert pipe.execute() == list(range(1, 1001))
    with r.pipeline() as pipe:
        pipe.set("x", 1).incr("x").lrange("list", 0, 2)
        assert pipe.execute() == [True, 2, ["0", "1", "2"]]
    with r.pipeline() as pipe:
        pipe.set("x", "a").incr("x").get("x")
        replies = pipe.execute(raise_on_error=False)
        assert isinstance(replies[1], redis.ResponseError) and replies[2] == "a"
    with r.pipeline() as pipe:
        pipe.watch("x")
        r.set("x", "changed")
        pipe.multi()
        pipe.set("x", "lost")
        try:
            pipe.execute()
            raise AssertionError("WATCH did not see the change")
        except redis.WatchError:
            pass
    assert r.transaction(lambda pipe: (pipe.multi(), pipe.set("t", 1)), "t") == [True]


def collections():
    assert r.hset("h", mapping={"f": 1, "g": 2}) == 2 and r.hgetall("h") == {"f": "1", "g": "2"}
    assert r.sadd("s", *range(300)) == 300 and {int(m) for m in r.sscan_iter("s")} == set(range(300))
    assert r.zadd("z", {"a": 1, "b": 2.5}) == 2
    assert r.zrange("z", 0, -1, withscores=True) == [("a", 1.0), ("b", 2.5)]
    assert list(r.zscan_iter("z")) == [("a", 1.0), ("b", 2.5)]
    assert dict(r.hscan_iter("h")) == {"f": "1", "g": "2"}
    assert r.blpop("list", timeout=1) == ("list", "0") and r.blpop("none", timeout=0.05) is None
    assert r.lmpop(1, "list", direction="RIGHT", count=2) == ["list", ["999", "998"]]
    names = {f"scan:{i}" for i in range(1000)}
    r.mset({name: 1 for name in names})
    assert set(r.scan_iter("scan:*", count=50)) == names
    assert r.sort("s", desc=True, start=0, num=2) == ["299", "298"]


def streams():
    first = r.xadd("st", {"n": 1})
    assert r.xgroup_create("st", "g", id="0") and r.xlen("st") == 1
    assert r.xreadgroup("g", "c", {"st": ">"}, count=10) == [["st", [(first, {"n": "1"})]]]
    assert r.xpending("st", "g")["pending"] == 1
    assert r.xpending_range("st", "g", "-", "+", 10)[0]["consumer"] == "c"
    assert r.xautoclaim("st", "g", "d", 0)[1] == [(first, {"n": "1"})]
    assert r.xack("st", "g", first) == 1
    assert r.xinfo_stream("st")["length"] == 1 and r.xinfo_groups("st")[0]["name"] == "g"
    assert [c["name"] for c in r.xinfo_consumers("st", "g")] == ["c", "d"]
    assert r.xread({"st": "$"}, block=20) == []


def pubsub():
    p = r.pubsub()
    p.subscribe("news")
    p.psubscribe("n*")
    assert p.get_message(timeout=5)["type"] == "subscribe"
    assert p.get_message(timeout=5)["type"] == "psubscribe"
    assert r.publish("news", "hello") == 2
    kinds = {p.get_message(timeout=5)["type"], p.get_message(timeout=5)["type"]}
    assert kinds == {"message", "pmessage"}
    assert r.pubsub_numsub("news") == [("news", 1)] and r.pubsub_numpat() == 1
    p.ping()
    assert p.get_message(timeout=5)["type"] == "pong"
    p.close()
    got = []
    q = r.pubsub()
    done = threading.Event()
    q.subscribe(**{"handled": lambda message: (got.append(message["data"]), done.set())})
    thread = q.run_in_thread(sleep_time=0.01)
    while r.publish("handled", "x") == 0:
        pass
    assert done.wait(5) and got[0] == "x"
    thread.stop()
    thread.join(5)


def locks_and_scripts():
    lock = r.lock("lock", timeout=5)
    assert lock.acquire(blocking=False) and not r.lock("lock", timeout=5).acquire(blocking=False)
    assert lock.extend(5) and lock.owned()
    lock.release()
    with r.lock("lock", timeout=5, blocking_timeout=1):
        assert r.exists("lock") == 1
    assert r.exists("lock") == 0
    add = r.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    assert add(keys=["sum"], args=[5]) == 5 and add(keys=["sum"], args=[6]) == 11
    r.script_flush()
    assert add(keys=["sum"], args=[1]) == 12


def server():
    assert r.info("server")["redis_version"].startswith("7.")
    assert r.info()["connected_clients"] >= 1
    assert r.config_get("maxmemory")["maxmemory"] == "0"
    assert r.config_set("slowlog-max-len", 64)
    assert r.client_setname("py") and r.client_getname() == "py"
    assert any(c["name"] == "py" for c in r.client_list())
    assert r.command_count() > 150 and r.command_getkeys("SET", "k", "v") == ["k"]
    assert isinstance(r.time(), tuple) and r.dbsize() > 0 and r.object("encoding", "a") == "int"
    assert r.memory_usage("list") > 100 and isinstance(r.slowlog_get(), list)
    try:
        r.lpush("k", 1)
        raise AssertionError("no WRONGTYPE")
    except redis.ResponseError as error:
        assert str(error).startswith("WRONGTYPE")


for part in (strings, pipelines, collections, streams, pubsub, locks_and_scripts, server):
    part()
    print(part.__name__, "passed", flush=True)
assert r.flushall()
print("all passed")
