"""`pit.artifacts`: blobs with names, versions, tags and lineage."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symphony import InvalidValueError, NotFoundError, StoppedError, boot

NOBODY = "0" * 64


@pytest.fixture
def store():
    with boot() as system:
        yield system.pit.artifacts


def test_what_is_put_is_got(store):
    artifact = store.put(b"bytes")
    assert len(artifact) == 64
    assert int(artifact, 16) >= 0
    assert store.get(artifact) == b"bytes"
    assert store.exists(artifact)
    assert store.get(store.put("grüße")) == "grüße".encode()
    assert store.get(store.put(b"")) == b""


@pytest.mark.parametrize("same", [bytearray(b"same"), memoryview(b"same"), "same"])
def test_the_same_bytes_are_stored_once(store, same):
    assert store.put(same) == store.put(b"same")
    figures = store.stats()
    assert (figures["artifacts"], figures["bytes"]) == (1, 4)
    assert (figures["puts"], figures["deduplicated"]) == (2, 1)


def test_a_large_blob_is_read_in_pieces(store):
    data = bytes(range(256)) * 1024
    with store.open(store.put(data)) as file:
        assert file.size == len(data)
        assert file.read(0) == b""
        assert file.read(3) == data[:3]
        assert file.seek(1000) == 1000
        assert file.read(10) == data[1000:1010]
        assert file.seek(-5, 1) == 1005
        assert file.seek(-4, 2) == len(data) - 4
        assert file.read() == data[-4:]
        assert file.read() == b""
        with pytest.raises(ValueError, match="negative"):
            file.seek(-1)
        with pytest.raises(ValueError, match="whence"):
            file.seek(0, 7)
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.read()
    with pytest.raises(ValueError, match="closed"):
        _ = file.size


def test_names_tags_and_parents(store):
    first = store.put(b"1", name="model", tags=["old", "a"])
    second = store.put(b"2", name="model", parents=[first])
    other = store.put(b"3", tags=["a"])
    assert store.versions("model") == [first, second]
    assert store.versions("nothing") == []
    assert set(store.find()) == {first, second, other}
    assert set(store.find(name="model")) == {first, second}
    assert set(store.find(tag="a")) == {first, other}
    assert store.find(name="model", tag="a") == [first]
    assert store.find(tag="nothing") == []
    known = store.metadata(second)
    assert (known["id"], known["size"], known["parents"]) == (second, 1, [first])
    assert (known["names"], known["tags"], known["archived"]) == ([("model", 2)], [], False)
    assert store.metadata(first)["tags"] == ["a", "old"]


def test_tags_are_added_when_it_is_put_again(store):
    artifact = store.put(b"1", tags=["a"])
    store.put(b"1", tags=["b"])
    assert store.metadata(artifact)["tags"] == ["a", "b"]


def test_what_is_read_is_counted(store):
    artifact = store.put(b"1")
    assert (store.metadata(artifact)["reads"], store.metadata(artifact)["last_read"]) == (0, None)
    store.get(artifact)
    store.open(artifact).close()
    known = store.metadata(artifact)
    assert known["reads"] == 2
    assert known["last_read"] >= known["created"]
    assert store.stats()["gets"] == 2


def test_what_is_deleted_is_gone_with_its_names(store):
    first, second = store.put(b"1", name="n"), store.put(b"2", name="n")
    store.delete(first)
    assert not store.exists(first)
    assert store.versions("n") == store.find(name="n") == [second]
    assert store.verify() == {"checked": 1, "bad": []}
    assert store.put(b"1") == first
    assert store.get(first) == b"1"


@pytest.mark.parametrize("method", ["get", "open", "metadata", "delete"])
def test_nothing_of_that_id(store, method):
    with pytest.raises(NotFoundError, match=NOBODY) as caught:
        getattr(store, method)(NOBODY)
    assert (caught.value.code, caught.value.hints) == ("not-found", ())
    assert not store.exists(NOBODY)


@pytest.mark.parametrize("method", ["get", "open", "metadata", "delete", "exists"])
def test_what_is_no_id(store, method):
    with pytest.raises(InvalidValueError, match="`zz` is not a lawful artifact id") as caught:
        getattr(store, method)("zz")
    assert (caught.value.code, caught.value.hints) == ("invalid-value", ())


def test_what_cannot_be_put(store):
    with pytest.raises(TypeError, match="bytes or str"):
        store.put(3)
    with pytest.raises(InvalidValueError, match="`zz`"):
        store.put(b"", parents=["zz"])
    assert store.find() == []


def test_bytes_that_rotted_are_found(tmp_path, workshop):
    data = b"to be changed " * 8192
    with boot(config=workshop.config) as system:
        store = system.pit.artifacts
        good, bad = store.put(b"good"), store.put(data)
        files = [
            path
            for path in workshop.folder.rglob("*")
            if path.is_file() and path.stat().st_size == len(data)
        ]
        assert len(files) == 1
        files[0].chmod(0o600)
        with files[0].open("r+b") as file:
            file.write(b"X")
        assert store.verify() == {"checked": 2, "bad": [bad]}
        assert store.get(good) == b"good"


def test_it_is_there_after_a_restart(workshop):
    with boot(config=workshop.config) as system:
        artifact = system.pit.artifacts.put(b"lasting", name="n", tags=["t"])
    with boot(config=workshop.config) as system:
        assert system.pit.artifacts.get(artifact) == b"lasting"
        assert system.pit.artifacts.find(name="n", tag="t") == [artifact]


CALLS = {
    "put": (b"",),
    "get": (NOBODY,),
    "open": (NOBODY,),
    "exists": (NOBODY,),
    "metadata": (NOBODY,),
    "find": (),
    "versions": ("n",),
    "delete": (NOBODY,),
    "verify": (),
    "stats": (),
}


def test_after_the_shutdown():
    with boot() as system:
        store = system.pit.artifacts
    for method, arguments in CALLS.items():
        with pytest.raises(StoppedError, match="artifact-store") as caught:
            getattr(store, method)(*arguments)
        assert caught.value.code == "stopped"


BLOBS = st.sampled_from([b"", b"a", b"b", b"c" * 100])
NAMES = st.sampled_from(["x", "y"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), BLOBS, NAMES, st.sets(st.sampled_from("tu"))),
        st.tuples(st.just("delete"), BLOBS),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_the_store_against_dictionaries(steps):
    with boot() as system:
        store = system.pit.artifacts
        ids, tags, names = {}, {}, {"x": [], "y": []}
        for step in steps:
            blob = step[1]
            if step[0] == "put":
                _, _, name, marks = step
                # A version of which it is the newest already is not said twice; that is not looked at here.
                if ids.get(blob) in names[name]:
                    continue
                ids[blob] = store.put(blob, name=name, tags=sorted(marks))
                names[name].append(ids[blob])
                tags[ids[blob]] = tags.get(ids[blob], set()) | marks
            elif blob in ids:
                gone = ids.pop(blob)
                store.delete(gone)
                del tags[gone]
                names = {
                    name: [artifact for artifact in old if artifact != gone]
                    for name, old in names.items()
                }
        assert sorted(store.find()) == sorted(tags)
        for blob, artifact in ids.items():
            assert store.get(artifact) == blob
            assert store.metadata(artifact)["tags"] == sorted(tags[artifact])
        for name, versions in names.items():
            assert store.versions(name) == versions
            assert set(store.find(name=name)) == set(versions)
        for tag in "tu":
            assert set(store.find(tag=tag)) == {
                artifact for artifact, marks in tags.items() if tag in marks
            }
        assert store.stats()["artifacts"] == len(ids)
        assert store.stats()["bytes"] == sum(map(len, ids))
