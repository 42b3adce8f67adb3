# The worker that runs one script. It speaks frames on what were its standard input and output: a little-endian u32 length,
# then a type byte and a body. Column blocks are packed, so that a column is decoded by a few calls, not a loop.
import gc, sys, os, io, json, marshal, traceback, linecache
from array import array
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from itertools import accumulate
from operator import is_, itemgetter
from struct import pack, unpack_from
from uuid import UUID

LONGEST = 4000  # characters of a reason
UTC = timezone.utc
NAIVE, AWARE = datetime(1970, 1, 1), datetime(1970, 1, 1, tzinfo=UTC)
DAY_ZERO = date(1970, 1, 1).toordinal()


class Unusable(Exception):
    """What the script gave cannot be used; the text says why."""


def channel():
    """Takes the protocol's descriptors away from the script: what it prints goes to the log."""
    source, sink = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    sys.stdin = io.StringIO()
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", "backslashreplace", line_buffering=True)
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), "utf-8", "backslashreplace", line_buffering=True)
    return io.BufferedReader(io.FileIO(source, "r"), 1 << 20), io.FileIO(sink, "w")


def receive(source):
    head = source.read(4)
    if len(head) < 4:
        return None, None
    body = source.read(unpack_from("<I", head)[0])
    return body[:1], memoryview(body)[1:]


def send(sink, kind, *parts):
    frame = b"".join((pack("<I", 1 + sum(map(len, parts))), kind, *parts))
    view = memoryview(frame)
    while view:
        view = view[sink.write(view):]


class Reader:
    def __init__(self, body):
        self.body, self.at = body, 0

    def u32(self):
        self.at += 4
        return unpack_from("<I", self.body, self.at - 4)[0]

    def take(self, n):
        self.at += n
        return self.body[self.at - n:self.at]

    def block(self):
        return self.take(self.u32())


def strings(r):
    offsets, data = r.block().cast("i").tolist(), bytes(r.block())
    if data.isascii():
        text = data.decode("ascii")
        return [text[a:b] for a, b in zip(offsets, offsets[1:])]
    return [data[a:b].decode("utf-8", "surrogateescape") for a, b in zip(offsets, offsets[1:])]


def binaries(r):
    offsets, data = r.block().cast("i").tolist(), bytes(r.block())
    return [data[a:b] for a, b in zip(offsets, offsets[1:])]


def uuids(r):
    data = bytes(r.block())
    return [UUID(bytes=data[i:i + 16]) for i in range(0, len(data), 16)]


def each(convert, values):
    """Converts every value; None for those that Python's type cannot say (their text follows)."""
    try:
        return [convert(v) for v in values]
    except (ValueError, OverflowError):
        pass
    out = []
    for v in values:
        try:
            out.append(convert(v))
        except (ValueError, OverflowError):
            out.append(None)
    return out


def days(r):
    make, zero = date.fromordinal, DAY_ZERO
    return each(lambda v: make(v + zero), r.block().cast("i").tolist())


def moments(zero):
    return lambda r: each(lambda v: zero + timedelta(0, 0, v), r.block().cast("q").tolist())


def span(v):
    if 0 <= v < 86_400_000_000:
        return (NAIVE + timedelta(0, 0, v)).time()
    return timedelta(0, 0, v)


def decimals(r):
    values = strings(r)
    return [Decimal(s) if s else None for s in values] if "" in values else list(map(Decimal, values))


def documents(r):
    """All documents in one call; one by one where that does not give as many."""
    r.texts = strings(r)
    try:
        values = json.loads("[" + ",".join([s or "null" for s in r.texts]) + "]")
        if len(values) == len(r.texts):
            return values
    except ValueError:
        pass
    return [json.loads(s) if s else None for s in r.texts]


# How a block of each encoding becomes a list.
DECODERS = {
    "i8": lambda r: r.block().cast("b").tolist(), "i16": lambda r: r.block().cast("h").tolist(),
    "i32": lambda r: r.block().cast("i").tolist(), "i64": lambda r: r.block().cast("q").tolist(),
    "u8": lambda r: r.block().cast("B").tolist(), "u16": lambda r: r.block().cast("H").tolist(),
    "u32": lambda r: r.block().cast("I").tolist(), "u64": lambda r: r.block().cast("Q").tolist(),
    "f32": lambda r: r.block().cast("f").tolist(), "f64": lambda r: r.block().cast("d").tolist(),
    "bool": lambda r: list(map((False, True).__getitem__, r.block())),
    "text": strings, "bytes": binaries, "decimal": decimals, "json": documents, "uuid": uuids,
    "date": days, "time": lambda r: list(map(span, r.block().cast("q").tolist())),
    "naive": moments(NAIVE), "aware": moments(AWARE),
}


def decode(body, encodings):
    """Gives the columns of a batch as lists, and the original texts of the JSON ones."""
    r = Reader(body)
    rows, columns, texts = r.u32(), [], {}
    for i, encoding in enumerate(encodings):
        nulls = r.block()
        values = DECODERS[encoding](r)
        if encoding == "json":
            texts[i] = r.texts, [marshal.dumps(v, 2) for v in values]
        if nulls:
            for row in nulls.cast("i").tolist():
                values[row] = None
        for row, text in zip(r.block().cast("i").tolist(), strings(r)):
            values[row] = text  # what Python's own type cannot say, such as an infinite date
        columns.append(values)
    return rows, columns, texts


def reason(name):
    """The last frames of the exception, those of the script only."""
    kind, value, trace = sys.exc_info()
    if kind is MemoryError:
        return "MemoryError: the script's memory limit is reached"
    if kind is SystemExit:
        return "SystemExit: a script must not end the program"
    frames = [f for f in traceback.extract_tb(trace) if f.filename == name]
    where = "; ".join(f"line {f.lineno}, in {f.name}: {(f.line or '').strip()}" for f in frames[-3:])
    what = "".join(traceback.format_exception_only(kind, value)).strip()
    return (f"{what} ({name} {where})" if where else what)[:LONGEST]


class Script:
    def __init__(self, setup):
        self.name = setup["name"] if setup["name"].endswith(".py") else setup["name"] + ".py"
        self.names = [c["name"] for c in setup["columns"]]
        self.encodings = [c["encoding"] for c in setup["columns"]]
        source = setup["source"]
        linecache.cache[self.name] = (len(source), None, source.splitlines(True), self.name)
        space = {"__name__": "script", "__builtins__": __builtins__}
        exec(compile(source, self.name, "exec", dont_inherit=True), space)
        self.one, self.many = space.get("transform"), space.get("transform_batch")
        if not callable(self.one) and not callable(self.many):
            raise Unusable("the script defines neither transform(row) nor transform_batch(rows)")
        if callable(self.one) and callable(self.many):
            raise Unusable("the script defines both transform and transform_batch: keep one")
        declared = space.get("columns")
        if declared is not None and not (isinstance(declared, dict) and all(
                isinstance(k, str) and (v is None or isinstance(v, str)) for k, v in declared.items())):
            raise Unusable('columns must be a dict of column names and types, such as {"total": "decimal(12,2)"}')
        self.declared = None if declared is None else [[k, v] for k, v in declared.items()]
        self.out = []

    def rows(self, columns, low, high):
        if not columns:
            return [{} for _ in range(low, high)]
        names = self.names
        if (low, high) != (0, len(columns[0])):
            columns = [values[low:high] for values in columns]
        return [dict(zip(names, values)) for values in zip(*columns)]

    def run(self, columns, texts, count):
        """Gives the rows that came back, the row each came from, and what failed."""
        if self.one is not None:
            return self.run_rows(self.rows(columns, 0, count))
        out, origin, failed = [], [], []
        self.run_batch(columns, texts, 0, count, out, origin, failed)
        return out, origin, failed

    def run_rows(self, rows):
        transform, out, origin, failed = self.one, [], [], []
        keep, where = out.append, origin.append
        for i, row in enumerate(rows):
            try:
                result = transform(row)
            except BaseException:
                failed.append([i, reason(self.name)])
                continue
            if isinstance(result, dict):
                keep(result)
                where(i)
            elif result is not None:
                failed.append([i, f"transform returned {type(result).__name__}, not a dict or None"])
        return out, origin, failed

    def run_batch(self, columns, texts, low, high, out, origin, failed):
        rows = self.rows(columns, low, high)
        ids = list(map(id, rows))
        held = list(rows)  # keeps the ids theirs, whatever the script does to the list
        try:
            result = self.many(rows)
            if not isinstance(result, list):
                raise Unusable(f"transform_batch returned {type(result).__name__}, not a list of dicts")
            for row in result:
                if not isinstance(row, dict):
                    raise Unusable(f"transform_batch returned a list with {type(row).__name__} in it, not dicts")
            if len(result) > len(ids):
                raise Unusable(f"transform_batch returned {len(result)} rows for {len(ids)}: it may drop rows, not make new ones")
            found = self.places(result, ids, columns, low, high)
        except BaseException as e:
            if high - low <= 1:
                failed.append([low, str(e) if isinstance(e, Unusable) else reason(self.name)])
                return
            del rows, held
            for i, (_, forms) in texts.items():  # the attempt may have changed documents
                columns[i][low:high] = map(marshal.loads, forms[low:high])
            middle = (low + high) // 2
            self.run_batch(columns, texts, low, middle, out, origin, failed)
            self.run_batch(columns, texts, middle, high, out, origin, failed)
            return
        out.extend(result)
        origin.extend(found)

    def places(self, result, ids, columns, low, high):
        """Which row each result came from: the same dict, else the same values, else the same position."""
        if len(result) == len(ids) and list(map(id, result)) == ids:
            return range(low, high)
        where = dict(zip(ids, range(low, high)))
        found = [where.get(id(row), -1) for row in result]
        if -1 not in found and len(set(found)) == len(found):
            return found
        for name, values in zip(self.names, columns):
            where = dict(zip(map(id, values[low:high]), range(low, high)))
            if len(where) != high - low:
                continue
            found = [where.get(id(row.get(name)), -1) for row in result]
            if -1 not in found and len(set(found)) == len(found):
                return found
        if len(result) == len(ids):
            return range(low, high)
        raise Unusable("transform_batch left rows out and gave new dicts without a column that tells which rows they are: "
                       "return the dicts it was given, or keep a key column as it is")


def kinds(values):
    """The name of each type among the values, without None."""
    return sorted({"aware" if t is datetime and any(type(v) is datetime and v.tzinfo for v in values) else t.__name__
                   for t in set(map(type, values)) if t is not type(None)} |
                  ({"datetime"} if any(type(v) is datetime and not v.tzinfo for v in values) else set()))


def survey(script, body):
    """Runs a first batch to see which columns come out and of which types."""
    count, columns, texts = decode(body, script.encodings)
    out, _, failed = script.run(columns, texts, count)
    names = dict.fromkeys(name for row in out for name in row)
    for name in names:
        if not isinstance(name, str):
            raise Unusable(f"the script returned {name!r} as a column's name; names are text")
    found = []
    for name in names:
        values = [row.get(name) for row in out]
        big = any(isinstance(v, int) and not -1 << 63 <= v < 1 << 63 for v in values)
        found.append({"name": name, "types": kinds(values), "big": big})
    return {"rows": count, "out": len(out), "failed": failed[:20], "columns": found}


# How a list becomes a block. Each raises on a value that is none of its own.
def put_ints(values):
    return b"i", array("q", values).tobytes()


def put_floats(values):
    return b"f", array("d", values).tobytes()


def put_bools(values):
    if not all(v is True or v is False for v in values):
        raise TypeError
    return b"b", bytes(values)


def put_texts(values):
    joined = "".join(values)
    if joined.isascii():
        data, sizes = joined.encode("ascii"), map(len, values)
    else:
        parts = [v.encode("utf-8", "surrogateescape") for v in values]
        data, sizes = b"".join(parts), map(len, parts)
    offsets = array("i", accumulate(sizes, initial=0)).tobytes()
    return b"t", pack("<I", len(offsets)) + offsets + pack("<I", len(data)) + data


def put_bytes(values):
    data = b"".join(values)
    offsets = array("i", accumulate(map(len, values), initial=0)).tobytes()
    return b"x", pack("<I", len(offsets)) + offsets + pack("<I", len(data)) + data


MARK = "\ue000"


def plain(v):
    if isinstance(v, Decimal):
        if not v.is_finite():
            raise ValueError("JSON has no " + str(v))
        return f"{MARK}{v}{MARK}"
    if isinstance(v, (date, datetime, time)):
        return v.isoformat()
    if isinstance(v, UUID):
        return str(v)
    raise TypeError(f"{type(v).__name__} has no place in JSON")


ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=plain).encode


def document(v):
    text = ENCODE(v)
    return text.replace('"' + MARK, "").replace(MARK + '"', "") if MARK in text else text


def untouched(v, form):
    """Whether a document that came back as the same object has the form that it had: 1, 1.0 and True differ."""
    try:
        return marshal.dumps(v, 2) == form
    except ValueError:
        return False


def stamp(v, kind):
    if type(v) is str:
        return v
    if not isinstance(v, datetime):
        if kind == "naive" and isinstance(v, date):
            return v.isoformat() + "T00:00:00"
        raise TypeError
    if kind == "aware":
        if v.tzinfo is None:
            raise ValueError("a datetime without a zone in a column of instants: give it tzinfo")
        return v.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    if v.tzinfo is not None:
        raise ValueError("a datetime with a zone in a column without: use .replace(tzinfo=None) or declare timestamptz")
    return v.isoformat()


def day(v):
    if type(v) is str or (isinstance(v, date) and not isinstance(v, datetime)):
        return str(v)
    raise TypeError


def clock(v):
    if isinstance(v, time):
        if v.tzinfo is not None:
            raise ValueError("a time with a zone")
        return v.isoformat()
    if isinstance(v, timedelta):
        us = v // timedelta(microseconds=1)
        sign, us = ("-", -us) if us < 0 else ("", us)
        s, us = divmod(us, 1_000_000)
        return f"{sign}{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}" + (f".{us:06}" if us else "")
    if type(v) is str:
        return v
    raise TypeError


def interval(v):
    if isinstance(v, timedelta):
        us = v // timedelta(microseconds=1)
        sign, us = ("-", -us) if us < 0 else ("", us)
        s, us = divmod(us, 1_000_000)
        return f"PT{sign}{s}" + (f".{us:06}" if us else "") + "S"
    if type(v) is str:
        return v
    raise TypeError


def number(v):
    if isinstance(v, bool):
        return "1" if v else "0"
    if isinstance(v, int):
        return str(v)
    if isinstance(v, Decimal):
        return format(v, "f") if v.is_finite() and abs(v.adjusted()) < 10_000 else str(v)
    if isinstance(v, float):
        return repr(v)
    if type(v) is str:
        return v
    raise TypeError


def identity(v):
    if isinstance(v, UUID) or type(v) is str:
        return str(v)
    raise TypeError


def mapped(each):
    return lambda values: put_texts([each(v) for v in values])


# By encoding: what packs the column, what stands in for null, and what a person calls the values.
ENCODERS = {
    "int": (put_ints, 0, "int"), "float": (put_floats, 0.0, "float"), "bool": (put_bools, False, "bool"),
    "text": (put_texts, "", "str"), "bytes": (put_bytes, b"", "bytes"),
    "decimal": (mapped(number), 0, "Decimal or int"), "date": (mapped(day), "", "date"),
    "naive": (mapped(lambda v: stamp(v, "naive")), "", "datetime without a zone"),
    "aware": (mapped(lambda v: stamp(v, "aware")), "", "datetime with a zone"),
    "time": (mapped(clock), "", "time"), "interval": (mapped(interval), "", "timedelta or str"),
    "uuid": (mapped(identity), "", "UUID"), "json": (mapped(document), None, "dict, list or plain value"),
}


def fault(column, value, error):
    told = str(error)
    shown = repr(value)
    shown = shown if len(shown) <= 80 else shown[:80] + "..."
    what = told if told and isinstance(error, ValueError) else f"{shown} is {type(value).__name__}, and the column takes {ENCODERS[column['encoding']][2]}"
    return f"column {column['name']}: {what}"[:LONGEST]


def pack_column(column, values, old, texts, origin):
    """The column's block: unchanged ones are named, not sent."""
    encoding = column["encoding"]
    if old is not None:
        same = old if origin is None else [old[i] for i in origin]
        if all(map(is_, values, same)):
            if texts is None:
                return b"="
            said = texts[1] if origin is None else [texts[1][i] for i in origin]
            if all(map(untouched, values, said)):
                return b"="
    put, stand_in, _ = ENCODERS[encoding]
    if texts is not None:  # documents that were not touched keep their spelling, a JSON null too
        where = range(len(values)) if origin is None else origin
        said, forms = texts
        values = [None if v is None and not said[i] else
                  said[i] if v is old[i] and untouched(v, forms[i]) else document(v) for v, i in zip(values, where)]
        put, stand_in = put_texts, ""
    nulls = b""
    if any(v is None for v in values):
        nulls = bytes([v is None for v in values])
        values = [stand_in if v is None else v for v in values]
    kind, data = put(values)
    return kind + pack("<I", len(nulls)) + nulls + data


def batch(script, body):
    count, columns, texts = decode(body, script.encodings)
    by_name = dict(zip(script.names, range(len(script.names))))
    out, origin, failed = script.run(columns, texts, count)
    outputs = script.out
    names = [c["name"] for c in outputs]
    known = set(names)
    while True:
        strange = [n for n, row in enumerate(out) if len(row) > len(names) or not known.issuperset(row)]
        if strange:
            bad = {}
            for n in strange:
                extra = [k for k in out[n] if k not in known]
                if extra:
                    bad[n] = (f"the script returned column {extra[0]!r}, which its first rows did not have: "
                              "declare it in columns, or give every row the same keys")
            out, origin = drop(out, origin, bad, failed)
        whole = None if len(out) == count and origin == list(range(count)) else origin
        try:
            gathered = list(zip(*map(itemgetter(*names), out))) if len(names) > 1 and out else None
        except KeyError:
            gathered = None
        if gathered is None:
            gathered = [[row.get(name) for row in out] for name in names]
        blocks, bad = [], {}
        for column, values in zip(outputs, gathered):
            i = by_name.get(column["name"]) if column["kept"] else None
            try:
                blocks.append(pack_column(column, values, None if i is None else columns[i], None if i is None else texts.get(i), whole))
            except Exception:
                put = ENCODERS[column["encoding"]][0]
                for n, value in enumerate(values):
                    if value is None:
                        continue
                    try:
                        put([value])
                    except Exception as e:
                        bad.setdefault(n, fault(column, value, e))
                if not bad:
                    raise
                break
        if not bad:
            break
        out, origin = drop(out, origin, bad, failed)
    told = json.dumps(failed, ensure_ascii=True).encode()
    return [pack("<II", len(out), len(told)), told, array("i", origin).tobytes(), *blocks]


def drop(out, origin, bad, failed):
    failed.extend([origin[n], why] for n, why in sorted(bad.items()))
    keep = [n for n in range(len(out)) if n not in bad]
    return [out[n] for n in keep], [origin[n] for n in keep]


def limit(memory):
    """Bounds the process's memory for good, where the system can."""
    try:
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    except (ImportError, ValueError, OSError):
        pass


def main():
    source, sink = channel()
    script, served = None, 0
    gc.disable()  # a batch is many objects and no cycles: collect between batches, not within
    while True:
        if (served := served + 1) % 32 == 0:
            gc.collect()
        kind, body = receive(source)
        if kind is None:
            return
        try:
            if kind == b"I":
                setup = json.loads(bytes(body))
                limit(setup["memory"])
                script = Script(setup)
                send(sink, b"R", json.dumps({"declared": script.declared}).encode())
            elif kind == b"C":
                script.out = json.loads(bytes(body))
                send(sink, b"R", b"{}")
            elif kind == b"S":
                send(sink, b"V", json.dumps(survey(script, body)).encode())
            elif kind == b"B":
                send(sink, b"O", *batch(script, body))
        except SyntaxError as e:
            send(sink, b"E", json.dumps({"message": f"{e.msg}", "line": e.lineno or 0, "column": e.offset or 0}).encode())
        except Unusable as e:
            send(sink, b"E", json.dumps({"message": str(e)}).encode())
        except BaseException:
            name = script.name if script else json.loads(bytes(body))["name"] if kind == b"I" else ""
            if kind == b"I" and not name.endswith(".py"):
                name += ".py"
            send(sink, b"E", json.dumps({"message": reason(name)}).encode())
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass


main()
