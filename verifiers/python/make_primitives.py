#!/usr/bin/env python3
"""Writes `spec/vectors/primitives/`: lists of cases for the parts of which a verifier consists.

    make_primitives.py [--check]

Answers that others have published stand here as they are published, and are checked against the code. The rest is
constructed. Nothing is random: a second run changes nothing. `--check` writes nothing and fails if it would.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import sys

import gantral_verify as g

FOLDER = pathlib.Path(__file__).parents[2] / "spec/vectors/primitives"


def case(flags, result, **given):
    return {"flags": flags, **given, "result": result}


# JSON: RFC 8785 §3.2.2 and §3.2.3 (IETF Trust, Revised BSD for code components), and what `json.md` says beyond it.

RFC_8785_TEXT = (
    '{\n  "numbers": [333333333.33333329, 1E30, 4.50,\n              2e-3, 0.000000000000000000000000001],\n'
    '  "string": "\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/",\n  "literals": [null, true, false]\n}'
)
RFC_8785_EXACT = (
    '{"literals":[null,true,false],"numbers":[333333333.33333329,1e+30,4.5,0.002,1e-27],'
    '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
)
RFC_8785_SORTING = (
    '{\n  "\\u20ac": "Euro Sign",\n  "\\r": "Carriage Return",\n  "\\ufb33": "Hebrew Letter Dalet With Dagesh",\n'
    '  "1": "One",\n  "\\ud83d\\ude00": "Emoji: Grinning Face",\n  "\\u0080": "Control",\n'
    '  "\\u00f6": "Latin Small Letter O With Diaeresis"\n}'
)
RFC_8785_SORTED = (
    '{"\\r":"Carriage Return","1":"One","\x80":"Control","\u00f6":"Latin Small Letter O With Diaeresis",'
    '"\u20ac":"Euro Sign","\U0001f600":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}'
)
NUMBERS = [
    ("0", "0"), ("-0", "0"), ("-0.0", "0"), ("4800.00", "4800"), ("4.8e3", "4800"), ("48E+2", "4800"),
    ("9007199254740993", "9007199254740993"), ("1e20", "100000000000000000000"), ("1e21", "1e+21"),
    ("0.000001", "0.000001"), ("0.0000001", "1e-7"), ("0.10000000000000000000001", "0.10000000000000000000001"),
    ("-1.50", "-1.5"), ("123456789012345678901", "123456789012345678901"), ("12.5e-8", "1.25e-7"),
]  # fmt: skip
REFUSED = [
    ("document", b"\xef\xbb\xbf{}", "spelling"), ("document", b'{"a":1,"a":2}', "spelling"), ("document", b'{"a":1,"\\u0061":2}', "spelling"),
    ("document", b'"\\ud800"', "spelling"), ("document", b'"\\udc00\\ud800"', "spelling"), ("document", b"{} {}", "spelling"),
    ("document", b'"\xff"', "syntax"), ("document", b'"\xed\xa0\x80"', "syntax"), ("document", b"{", "syntax"), ("document", b"[1,]", "syntax"),
    ("document", b"01", "syntax"), ("document", b"+1", "syntax"), ("document", b".5", "syntax"), ("document", b"NaN", "syntax"),
    ("document", b"", "syntax"), ("document", b'"\t"', "syntax"), ("document", b"'a'", "syntax"), ("document", b"[1 2]", "syntax"),
    ("document", b"[" * 65 + b"]" * 65, "limit"), ("document", b"1e600", "limit"), ("document", b"1" * 257, "limit"),
    ("artifact", b"1.0", "spelling"), ("artifact", b"1e0", "spelling"), ("artifact", b"-0", "spelling"),
    ("artifact", b"9007199254740992", "spelling"), ("artifact", b"[" * 17 + b"]" * 17, "limit"),
    ("artifact", b'"\\u202e"', "text"), ("artifact", '"e\u0301"'.encode(), "text"), ("artifact", b'{"\\u00e9":1}', "text"),
]  # fmt: skip


def json_suite():
    cases = [
        case(["rfc8785", "exact_decimal"], {"canonical": RFC_8785_EXACT}, profile="document", hex=RFC_8785_TEXT.encode().hex()),
        case(["rfc8785", "order"], {"canonical": RFC_8785_SORTED}, profile="document", hex=RFC_8785_SORTING.encode().hex()),
    ]
    cases += [case(["number"], {"canonical": to}, profile="document", hex=text.encode().hex()) for text, to in NUMBERS]
    cases += [
        case(["depth"], {"canonical": "[" * deep + "]" * deep}, profile=profile, hex=("[" * deep + "]" * deep).encode().hex())
        for profile, deep in (("document", 64), ("artifact", 16))
    ]
    cases.append(case(["integer"], {"canonical": "9007199254740991"}, profile="artifact", hex=b"9007199254740991".hex()))
    cases += [case(["refused"], {"refused": kind}, profile=profile, hex=data.hex()) for profile, data, kind in REFUSED]
    return cases


def judge_json(given):
    data = bytes.fromhex(given["hex"])
    artifact = given["profile"] == "artifact"
    sizes = (g.ARTIFACT_BYTES, g.ARTIFACT_DEPTH) if artifact else (g.DOCUMENT_BYTES, g.DOCUMENT_DEPTH)
    try:
        value = g.Parser(data, *sizes, artifact).document()
    except g.JsonRefused as refused:
        return {"refused": refused.kind}
    return {"canonical": g.canonical(value).decode()}


# DSSE: the example of the protocol's own page (Apache-2.0), and edges.


def pae_suite():
    given = [("http://example.com/HelloWorld", b"hello world"), ("", b""), ("a b", b"\x00 \xff"), ("\u00e9", "\u00e9".encode())]
    known = "DSSEv1 29 http://example.com/HelloWorld 11 hello world".encode().hex()
    cases = [case([], g.pae(kind, payload).hex(), payloadType=kind, payload=payload.hex()) for kind, payload in given]
    assert cases[0]["result"] == known
    cases[0]["flags"] = ["dsse"]
    return cases


# Ed25519: RFC 8032 §7.1, and signatures that verifiers are known to disagree about, made from their definitions.

RFC_8032 = [
    ("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", ""),
    ("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "72"),
    ("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "af82"),
]
RFC_8032_KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
ORDER_8 = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"


def encode(point):
    x, y, z, _ = point
    inverse = pow(z, g.P - 2, g.P)
    x, y = x * inverse % g.P, y * inverse % g.P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def scalar_of(secret):
    digest = hashlib.sha512(secret).digest()
    scalar = int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | 1 << 254
    return scalar, digest[32:]


def reduced(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % g.L


def signed(secret, message, key=None, torsion=None, nonce=None):
    """RFC 8032 §5.1.6; `torsion` is added to R, `key` stands for the public key."""
    scalar, prefix = scalar_of(secret)
    key = key or encode(g.multiply_point(scalar, g.BASE))
    r = reduced(prefix, message) if nonce is None else nonce
    point = g.multiply_point(r, g.BASE)
    commitment = encode(g.add_points(point, torsion) if torsion else point)
    s = (r + reduced(commitment, key, message) * scalar) % g.L
    return key, commitment + s.to_bytes(32, "little")


def torsion_points():
    """The eight points of small order."""
    generator = g.decode_point(bytes.fromhex(ORDER_8))
    return [g.multiply_point(count, generator) for count in range(1, 9)]


def other_encodings(points):
    """Encodings of those points that are not canonical: y + p where it fits, and the sign of a zero."""
    for point in points:
        data = encode(point)
        y, sign = int.from_bytes(data, "little") & (1 << 255) - 1, data[31] & 0x80
        if y + g.P < 1 << 255:
            for bit in (0, 0x80):
                yield bytes([*(y + g.P).to_bytes(32, "little")[:31], (y + g.P) >> 248 | bit])
        if y in (1, g.P - 1) and not sign:
            yield bytes([*data[:31], data[31] | 0x80])


def ed25519_suite():
    cases = []

    def add(flags, result, key, message, signature):
        cases.append(case(flags, result, key=key.hex(), message=message.hex(), signature=signature.hex()))

    for secret, message in RFC_8032:
        message = bytes.fromhex(message)
        key, signature = signed(bytes.fromhex(secret), message)
        add(["rfc8032"], "valid", key, message, signature)
    assert cases[0]["key"] == RFC_8032_KEY
    secret, message = bytes([1]) * 32, b"strict"
    scalar, _ = scalar_of(secret)
    key, good = signed(secret, message)
    s = int.from_bytes(good[32:], "little")
    add(["s_plus_order"], "invalid", key, message, good[:32] + (s + g.L).to_bytes(32, "little"))
    add(["changed_message"], "invalid", key, b"Strict", good)
    add(["length"], "invalid", key, message, good[:63])
    points = torsion_points()
    for small in points:
        encoded = encode(small)
        add(["small_order_key"], "invalid", encoded, message, small_key_signature(encoded, message))
        _, signature = signed(secret, message, nonce=0, torsion=small)
        add(["small_order_r"], "invalid", key, message, signature)
    for encoded in sorted(set(other_encodings(points))):
        add(["non_canonical_key"], "invalid", encoded, message, good)
        add(["non_canonical_r"], "invalid", key, message, encoded + good[32:])
    order_8 = points[0]
    mixed = encode(g.add_points(g.multiply_point(scalar, g.BASE), order_8))
    _, residue = signed(secret, message, torsion=order_8)
    add(["mixed_order_r", "cofactored_only"], "invalid", key, message, residue)
    add_mixed(add, secret, mixed, order_8)
    return cases


def small_key_signature(key, message):
    """A signature under a key of small order that the equation accepts where k is a multiple of eight."""
    for nonce in range(1, 200):
        commitment = encode(g.multiply_point(nonce, g.BASE))
        if reduced(commitment, key, message) % 8 == 0:
            return commitment + nonce.to_bytes(32, "little")
    raise AssertionError("no nonce")


def add_mixed(add, secret, mixed, order_8):
    """Keys with a component of small order: good where the components cancel out, and only then."""
    for number in range(200):
        message = b"mixed %d" % number
        scalar, prefix = scalar_of(secret)
        r = reduced(prefix, message)
        commitment = encode(g.multiply_point(r, g.BASE))
        k = reduced(commitment, mixed, message)
        signature = commitment + ((r + k * scalar) % g.L).to_bytes(32, "little")
        if k % 8 == 0:
            add(["mixed_order_key"], "valid", mixed, message, signature)
            return
        if number == 0:
            add(["mixed_order_key", "cofactored_only"], "invalid", mixed, message, signature)
    raise AssertionError("no message")


def judge_ed25519(given, plain=True):
    key = g.public_key(given["key"])
    good = key and key.verify(bytes.fromhex(given["message"]), bytes.fromhex(given["signature"]), plain)
    return "valid" if good else "invalid"


# ECDSA over P-256 with SHA-256: RFC 6979 §A.2.5 (IETF Trust), and what `human.md` H14 and H15 say of encodings.

RFC_6979_KEY = (
    "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
)
RFC_6979 = [
    (
        "sample",
        0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716,
        0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8,
    ),
    (
        "test",
        0xF1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367,
        0x019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083,
    ),
]


def der(*numbers):
    """Two integers as a signature in DER; numbers that are bytes stand there as they are."""

    def integer(number):
        if isinstance(number, bytes):
            return number
        least = number.bit_length() // 8 + 1
        return bytes([2, least]) + number.to_bytes(least, "big")

    content = b"".join(integer(number) for number in numbers)
    return bytes([0x30, len(content)]) + content


def es256_suite():
    cases = []

    def add(flags, result, signature, message=b"test", key=RFC_6979_KEY):
        cases.append(case(flags, result, key=key, message=message.hex(), signature=signature.hex()))

    for message, r, s in RFC_6979:
        add(["rfc6979"], "valid", der(r, s), message.encode())
    _, r, s = RFC_6979[1]
    good, order, prime = der(r, s), g.P256_N, g.P256_P
    add(["other_message"], "invalid", good, b"other")
    add(["negated"], "valid", der(r, order - s))
    for number in (0, order, order + s):
        add(["out_of_range"], "invalid", der(r, number))
    add(["out_of_range"], "invalid", der(0, s))
    add(["out_of_range"], "invalid", der(order, s))
    one, two = bytes([2, 33]) + b"\0" + r.to_bytes(32, "big"), bytes([2, 32]) + s.to_bytes(32, "big")
    assert der(one, two) == good
    for flag, signature in (
        ("behind_it", good + b"\0"),
        ("behind_it", der(one, two, b"\0")),
        ("third_number", der(one, two, bytes([2, 1, 1]))),
        ("one_number", der(one)),
        ("long_length", b"\x30\x81" + good[1:]),
        ("long_length", der(bytes([2, 0x81, 33]) + one[2:], two)),
        ("indefinite_length", b"\x30\x80" + good[2:] + b"\0\0"),
        ("wrong_length", good[:1] + bytes([good[1] + 1]) + good[2:]),
        ("wrong_length", good[:1] + bytes([good[1] - 1]) + good[2:]),
        ("negative", der(bytes([2, 32]) + one[3:], two)),
        ("superfluous_zero", der(one, bytes([2, 33]) + b"\0" + two[2:])),
        ("superfluous_zero", der(bytes([2, 34]) + b"\0" + one[2:], two)),
        ("empty_number", der(bytes([2, 0]), two)),
        ("another_tag", b"\x31" + good[1:]),
        ("another_tag", der(bytes([3]) + one[1:], two)),
        ("cut", good[:-1]),
        ("cut", good[:2]),
        ("empty", b""),
        ("not_der", r.to_bytes(32, "big") + s.to_bytes(32, "big")),
    ):
        add([flag], "invalid", signature)
    x, y = int(RFC_6979_KEY[2:66], 16), int(RFC_6979_KEY[66:], 16)
    for flag, key in (
        ("compressed_key", f"0{2 + y % 2}{x:064x}"),
        ("hybrid_key", f"0{6 + y % 2}{RFC_6979_KEY[2:]}"),
        ("bare_key", RFC_6979_KEY[2:]),
        ("upper_case_key", RFC_6979_KEY.upper()),
        ("not_on_the_curve", f"04{x:064x}{y ^ 1:064x}"),
        ("not_on_the_curve", "04" + "00" * 64),
        ("infinity", "00"),
        ("coordinate_too_large", f"04{prime:064x}{pow(g.P256_B, (prime + 1) // 4, prime):064x}"),
    ):
        add([flag], "invalid", good, key=key)
    add(["another_key"], "invalid", good, key=f"04{x:064x}{prime - y:064x}")
    # A point with x = 0 is one of the curve; that it is written as 0 and not as the prime is what the case before is about.
    root = pow(g.P256_B, (prime + 1) // 4, prime)
    assert root * root % prime == g.P256_B and g.Es256Key(bytes.fromhex(f"04{0:064x}{root:064x}"))
    return cases


def judge_es256(given, plain=True):
    key = g.authenticator_key("es256", given["key"])
    good = key and key.verify(bytes.fromhex(given["message"]), bytes.fromhex(given["signature"]), plain)
    return "valid" if good else "invalid"


# Hashes of `commitments.md` C1 and leaves of `log.md` L1.


def hash_suite():
    tenant, instance = "acme", "07070707-0707-4707-8707-070707070707"
    record = g.Record(sequence=0, leaf=(1, g.instance_tag(tenant, instance), False), hash="ab" * 32)
    last = g.Record(**{**record.__dict__, "sequence": 1 << 40, "leaf": (*record.leaf[:2], True)})
    salt = bytes(range(32))
    cases = [case(["artifact"], g.artifact_hash(b"{}"), payload=b"{}".hex())]
    cases += [
        case(["commitment"], g.commitment(label, salt, b"x"), label=label, salt=salt.hex(), plaintext=b"x".hex())
        for label in g.LABELS
    ]
    cases.append(case(["instance_tag"], g.instance_tag(tenant, instance), tenant=tenant, instance=instance))
    cases.append(case(["governance_tag"], g.governance_tag(tenant), tenant=tenant))
    cases.append(case(["key_id"], g.key_id(bytes.fromhex(RFC_8032_KEY)), key=RFC_8032_KEY))
    for leaf in (record, last):
        given = {"sequence": leaf.sequence, "terminal": leaf.leaf[2], "tag": leaf.leaf[1]}
        cases.append(case(["leaf"], g.leaf_of(leaf, "cd" * 32).hex(), **given, hash=leaf.hash, issuer="cd" * 32))
    cases.append(case(["rules"], g.SEMANTICS, text=g.RULES))
    return cases


# Merkle trees: the eight leaves of Certificate Transparency's reference tests (Apache-2.0), with their published roots.

CT_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def tree_root(leaves):
    """RFC 6962 §2.1."""
    if not leaves:
        return g.EMPTY_ROOT
    if len(leaves) == 1:
        return g.hash_leaf(leaves[0])
    cut = 1 << (len(leaves) - 1).bit_length() - 1
    return g.hash_node(tree_root(leaves[:cut]), tree_root(leaves[cut:]))


def inclusion_path(index, leaves):
    """RFC 6962 §2.1.1."""
    if len(leaves) < 2:
        return []
    cut = 1 << (len(leaves) - 1).bit_length() - 1
    if index < cut:
        return [*inclusion_path(index, leaves[:cut]), tree_root(leaves[cut:])]
    return [*inclusion_path(index - cut, leaves[cut:]), tree_root(leaves[:cut])]


def consistency_path(old, leaves, whole=True):
    """RFC 6962 §2.1.2."""
    if old == len(leaves):
        return [] if whole else [tree_root(leaves)]
    cut = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= cut:
        return [*consistency_path(old, leaves[:cut], whole), tree_root(leaves[cut:])]
    return [*consistency_path(old - cut, leaves[cut:], False), tree_root(leaves[:cut])]


def merkle_suite():
    leaves = [bytes.fromhex(leaf) for leaf in CT_LEAVES]
    assert [tree_root(leaves[: size + 1]).hex() for size in range(8)] == CT_ROOTS
    cases = []
    for size in (1, 3, 7, 8):
        for index in range(size):
            path = [each.hex() for each in inclusion_path(index, leaves[:size])]
            given = {"index": index, "size": size, "root": CT_ROOTS[size - 1], "leaf": CT_LEAVES[index]}
            cases.append(case(["inclusion", "ct"], "valid", **given, path=path))
            wrong = {"too_long": [*path, "00" * 32], "too_short": path[:-1], "reversed": path[::-1]}
            bad = {name: other for name, other in wrong.items() if other != path}
            cases += [case(["inclusion", name], "invalid", **given, path=other) for name, other in bad.items()]
            cases.append(case(["inclusion", "index"], "invalid", **{**given, "index": index + size}, path=path))
    for old in range(9):
        for size in (old, 7, 8):
            if not old <= size:
                continue
            path = [each.hex() for each in consistency_path(old, leaves[:size])] if old else []
            roots = [tree_root(leaves[:each]).hex() for each in (old, size)]
            given = {"old_size": old, "old_root": roots[0], "size": size, "root": roots[1]}
            cases.append(case(["consistency", "ct"], "valid", **given, path=path))
            cases.append(case(["consistency", "too_long"], "invalid", **given, path=[*path, "00" * 32]))
            if path:
                cases.append(case(["consistency", "too_short"], "invalid", **given, path=path[:-1]))
                cases.append(case(["consistency", "other_root"], "invalid", **{**given, "old_root": "00" * 32}, path=path))
    return cases


def judge_merkle(given):
    path, root = [bytes.fromhex(each) for each in given["path"]], bytes.fromhex(given["root"])
    if given["flags"][0] == "inclusion":
        leaf = g.hash_leaf(bytes.fromhex(given["leaf"]))
        good = g.root_from_inclusion(given["index"], given["size"], leaf, path) == root
    else:
        good = g.is_beginning((given["old_size"], bytes.fromhex(given["old_root"])), (given["size"], root), path)
    return "valid" if good else "invalid"


# Signed notes of checkpoints: `log.md` §3.


def note_key(name, kind, key):
    data = bytes([kind]) + key
    hint = hashlib.sha256(name.encode() + b"\n" + data).hexdigest()[:8]
    return f"{name}+{hint}+{g.base64.b64encode(data).decode()}"


def note_line(name, kind, key, signature):
    hint = hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + key).digest()[:4]
    return f"\u2014 {name} {g.base64.b64encode(hint + signature).decode()}\n"


def note_suite():
    name, witness = "log.example/acme", "witness.example/w1"
    text = f"{name}\n8\n{g.base64.b64encode(bytes.fromhex(CT_ROOTS[7])).decode()}\n"
    key, good = signed(bytes([3]) * 32, text.encode())
    cosigned = b"cosignature/v1\ntime 1772355600\n" + text.encode()
    witness_key, over = signed(bytes([101]) * 32, cosigned)
    line, bad = note_line(name, 1, key, good), note_line(name, 1, key, good[:40] + bytes(24))
    cosignature = note_line(witness, 4, witness_key, (1772355600).to_bytes(8, "big") + over)
    earlier = note_line(witness, 4, witness_key, (1772355599).to_bytes(8, "big") + over)
    log, by = note_key(name, 1, key), note_key(witness, 4, witness_key)
    return [
        case(["log"], {"signed": "good", "time": None}, key=log, note=f"{text}\n{line}"),
        case(["log", "bad_beside"], {"signed": "good", "time": None}, key=log, note=f"{text}\n{bad}{line}"),
        case(["log", "forged"], {"signed": "bad"}, key=log, note=f"{text}\n{bad}"),
        case(["log", "other_text"], {"signed": "bad"}, key=log, note=f"{text.replace('8', '7', 1)}\n{line}"),
        case(["witness"], {"signed": "good", "time": 1772355600}, key=by, note=f"{text}\n{line}{cosignature}"),
        case(["witness", "other_time"], {"signed": "bad"}, key=by, note=f"{text}\n{line}{earlier}"),
        case(["witness", "missing"], {"signed": "no"}, key=by, note=f"{text}\n{line}"),
        case(["note", "no_signature"], {"signed": "none"}, key=log, note=f"{text}\n"),
        case(["note", "no_gap"], {"signed": "none"}, key=log, note=f"{text}{line}"),
        case(["note", "no_last_newline"], {"signed": "none"}, key=log, note=f"{text}\n{line[:-1]}"),
    ]


def judge_note(given):
    kind = 4 if given["flags"][0] == "witness" else 1
    key = g.NoteKey(given["key"], kind)
    try:
        note = g.Note(given["note"].encode())
    except g.Refused:
        return {"signed": "none"}
    lines = note.lines_of(key)
    for line in lines:
        time = int.from_bytes(line[:8], "big") if kind == 4 else None
        message = note.text.encode() if kind == 1 else b"cosignature/v1\ntime %d\n" % time + note.text.encode()
        if key.key.verify(message, line[8:] if kind == 4 else line):
            return {"signed": "good", "time": time}
    return {"signed": "bad" if lines else "no"}


SUITES = {
    "ed25519": (ed25519_suite, judge_ed25519),
    "es256": (es256_suite, judge_es256),
    "hashes": (hash_suite, None),
    "json": (json_suite, judge_json),
    "merkle": (merkle_suite, judge_merkle),
    "notes": (note_suite, judge_note),
    "pae": (pae_suite, None),
}


def differences():
    """Yields a line for each case that this verifier answers otherwise, and the number of all cases at the end."""
    count = 0
    for name, (make, judge) in SUITES.items():
        for number, given in enumerate(make()):
            count += 1
            if judge and judge(given) != given["result"]:
                yield f"{name} {number} {given['flags']}: {judge(given)}, not {given['result']}"
            if name in ("ed25519", "es256") and g.Ed25519PublicKey and judge(given, plain=False) != given["result"]:
                yield f"{name} {number} {given['flags']}: `cryptography` disagrees"
    yield count


def main():
    check = sys.argv[1:] == ["--check"]
    *wrong, count = differences()
    for name, (make, _) in SUITES.items():
        text = "[\n" + ",\n".join(json.dumps(each, sort_keys=True) for each in make()) + "\n]\n"
        file = FOLDER / f"{name}.json"
        if check and (not file.exists() or file.read_text(encoding="utf-8") != text):
            wrong.append(f"{file.name} is not what this program writes")
        elif not check:
            FOLDER.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    print("\n".join([*wrong, f"{count} cases, {len(wrong)} wrong"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
