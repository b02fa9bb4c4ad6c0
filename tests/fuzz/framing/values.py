"""Values of the parts of a request about which two parsers may disagree."""

# fmt: off
SPECIAL_BYTES = (
    b"\r", b"\n", b"\r\n", b" ", b"\t", b"\x00", b":", b",", b";", b"0", b"1", b"\x0b", b"\x7f", b"\x80", b"\xff",
    b"a",
)
CONTENT_LENGTHS = (
    b"+%d", b"-%d", b"%d, %d", b"%d,%d", b"%d, 1", b"0%d", b"0000000000000000000000000%d", b"%d ", b"  %d", b"%d\t",
    b"%d %d", b"", b" ", b"0x%d", b"%d.0", b"%de1", b"%d;", b"1844674407370955161%d", b"9223372036854775808",
    b"99999999999999999999999", b"%d_0", b"\xb2", b"five", b"%d\x00", b"%d\x0b", b"%d\r\n ", b"\r\n %d", b'"%d"',
    b"\xef\xbc\x95", b"%d,", b",%d",
)
TRANSFER_ENCODINGS = (
    b"Chunked", b"CHUNKED", b"chunked, chunked", b"gzip, chunked", b"gzip,chunked", b"chunked, gzip", b"identity",
    b"identity, chunked", b"chunked;q=1", b'"chunked"', b"chunked ", b"\tchunked", b"chunked\t", b"xchunked",
    b"chunkedx", b"chunked,", b",chunked", b", chunked", b"", b"chunked\x00", b"\x0bchunked", b"chunk\r\n ed",
    b"\r\n chunked", b"chunked\r\n ", b"gzip", b"chunked chunked", b"chunked\x80", b"x\tchunked",
)
FRAMING_NAMES = (
    b"Content-Length ", b"Content_Length", b" Content-Length", b"Content-Length\t", b"\tContent-Length",
    b"Content-\rLength", b"Content-Length\x00", b"X: y\rContent-Length", b"X: y\nContent-Length",
    b"X: y\r\r\nContent-Length", b"Content-Lengt", b"Content-Lengthh", b"Content-\xcc\x80Length",
)
ENCODING_NAMES = (
    b"Transfer-Encoding ", b"Transfer_Encoding", b" Transfer-Encoding", b"Transfer-Encoding\x00",
    b"X: y\rTransfer-Encoding", b"X: y\nTransfer-Encoding",
)
HEADER_LINES = (
    b"X : y", b"X\t: y", b" X: y", b"\tX: y", b": y", b":", b"", b"X", b"X;: y", b"X: a\rb", b"X: a\x00b",
    b"X: a\nb", b"X: a\r\n b", b"X: a\r\n\t", b"X:\r\n y", b"X\r\n: y", b"X\x00: y", b"X\x80: y", b"\xffX: y",
    b"X: \x7f", b"X: \x01", b"X: \x0b", b"X: \x0c", b"X:y", b"X: \xff", b"(X): y", b"X@: y", b'"X": y', b"\r",
    b"\n", b"\r\r", b"\x00", b"X: y\r", b"X: y\n", b"X: y\r\n\r", b"Expect: 200-ok", b"Expect: 100-continue, x",
    b"Proxy-Connection: close", b"Keep-Alive: timeout=1",
)
CONNECTIONS = (
    b"close", b"Close", b"close, keep-alive", b"keep-alive, close", b"close;x", b'"close"', b"close ", b"\tclose",
    b"close\t", b"close,", b",close", b", close", b"xclose", b"closex", b"close x", b"x close", b"clo se",
    b"upgrade", b"Upgrade", b"upgrade, close", b"close, upgrade", b"upgrade,close", b"keep-alive", b"te, close",
    b"close,close", b"close\x01", b"transfer-encoding", b"content-length", b"\x80close", b"keep-alive\t, close",
    b"keep-alive ,close", b"close ,keep-alive", b"", b"a, b ,\tclose\t", b"close\tclose", b"keep-alive,upgrade",
    b"upgrade keep-alive", b"closeclose", b"keep-aliveclose", b"close upgrade", b"\tupgrade\t",
    b"keep-alive, closed, close", b"clos, close", b"close/1",
)
METHODS = (
    b"CONNECT", b"get", b"Get", b"PRI", b"G ET", b"", b"GET\t", b"GETX", b"G\x00T", b"M-SEARCH", b"SOURCE",
    b"PROPFIND", b"DESCRIBE", b"QUERY", b"PURGE", b"TRACE", b"ACL", b"GE\r\nT", b"\x80", b"GET,", b"HTTP/1.1",
    b"SETUP", b"FLUSH", b"ANNOUNCE", b"MKCOL", b"LINK", b"SUBSCRIBE",
)
TARGETS = (
    b"*", b"api.test:443", b"http://h/p?q", b"http://h", b"http:///p", b"https://u@h:1/p", b"//h/p", b"/a b",
    b"/a\tb", b"/\x80", b"/a?\xff", b"/a#f", b"/#", b"?q", b"", b"/\x00", b"/\x7f", b"/{}", b"/%", b"/%zz",
    b"/a\\b", b'/"', b"ftp://h/p", b"/a?b?c#d?e", b"http://h?q", b"http://h/p#f", b"xyz", b"http://[::1]/p",
    b"http://h:99999/p", b"/a\x0cb", b"/a?\x0c", b"/\r", b"/\n", b"/a?\t", b"/a#\xff", b"/a#b#c",
    b"http://h/a#\x80", b"/a?", b"/?", b"/a?#", b"http://h/?", b"http://h?", b"/http://h/p", b"http://h//p",
    b"HTTP://h/p", b"http:/p", b"/a|b", b"/^", b"/<>",
)
VERSIONS = (
    b"HTTP/0.9", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/3.0", b"HTTP/1.10", b"http/1.1", b"HTTP/01.1",
    b"HTTP/1", b"HTTP/1.1 ", b" HTTP/1.1", b"HTTP/1.1\t", b"HTTP /1.1", b"HTTP/1,1", b"HTTP/1.\xb1", b"ICE/1.0",
    b"RTSP/1.0", b"RTSP/2.0", b"", b"HTTP/1.1\x00", b"HTTP/", b"HTTP/11", b"HTTP/9.9", b"HTTP/0.0", b"HTTP/1.1\r",
    b"HTTP/1.1 x",
)
REQUEST_LINES = (
    b"GET /", b"GET", b"GET  / HTTP/1.1", b" GET / HTTP/1.1", b"GET / HTTP/1.1 x", b"GET\t/\tHTTP/1.1", b"GET / ",
    b"", b"HTTP/1.1 200 OK", b"PRI * HTTP/2.0\r\n\r\nSM", b"GET /\r\nHost: x", b"\x00GET / HTTP/1.1",
    b"GET /\x0bHTTP/1.1", b"GET /  HTTP/1.1", b"\xef\xbb\xbfGET / HTTP/1.1", b"GET / HTTP/1.1\x0b",
    b"GET / HTTP/1.1 \t",
)
HOSTS: tuple[tuple[bytes, ...], ...] = (
    (), (), (b"Host: api.test", b"Host: api.test"), (b"Host: api.test", b"Host: other"), (b"Host: a, b",),
    (b"Host: a b",), (b"Host:",), (b"Host: a/b",), (b"Host: u@a",), (b"Host: [::1]:8000",), (b"Host: a:b",),
    (b"Host: \x80",), (b"host: api.test", b"HOST: api.test"), (b"Host : api.test",), (b" Host: api.test",),
    (b"Host: \r\n api.test",), (b"Host: api.test:80",), (b"Host: api.test\t",),
)
# h11 reads at most 20 digits of a chunk size, and httptools any number of leading zeros: no longer ones are generated.
CHUNK_SIZES = (
    b"+%x", b"-%x", b"0x%x", b" %x", b"%x ", b"%x\t", b"0%x", b"000000000000000%x", b"%x;", b"%x;a", b'%x;a="b;c"',
    b'%x;a="b\r\nc"', b"%x;\na", b"%x;a\rb", b"%x\n", b"%x\r", b"", b"g", b"1000000000000000%x",
    b"fffffffffffffffff", b"%x ;a", b"%x; a", b"%x;a=\x00", b"%x;a=\xff", b'%x;a="', b"%x;a b", b"%x,%x", b"%x%x",
    b"%x;a=b c", b"%x;=b", b"%x;a=", b"%x;;", b"%x\x0b", b"%x\x00", b"%x;a\n", b'%x;a="\\"', b'%x;a="\\""',
    b'%x;a="b"c', b"%x;a=\x01", b"%x;a\t", b"%x;a ", b'%x;a="b" ', b"%x.0", b"%xh", b"%xL", b"8000000000000000",
    b"ffffffffffffffff",
)
CHUNK_ENDS = (
    b"", b"\n", b"\r", b"\r\r\n", b"\n\r", b"x\r\n", b" \r\n", b"\r\n\r\n", b"\r\n ", b"\x00\r\n",
)
LAST_CHUNKS = (
    b"0\r\n", b"0\n\n", b"0\r\r", b"0\r\n\n", b"-0\r\n\r\n", b"0 \r\n\r\n", b"00000\r\n\r\n", b"0;a=b\r\n\r\n",
    b"0\r\n\r", b"\r\n\r\n", b"0\r\n \r\n", b"0\r\n\r\n\r\n", b"0x0\r\n\r\n", b"0\r\n\x00\r\n", b"",
)
TRAILERS = (
    b"X: y", b"Content-Length: 5", b"Content-Length: 0", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip",
    b"Connection: close", b"Connection: keep-alive", b"Connection: upgrade\r\nUpgrade: h2c", b"Host: x", b" folded",
    b"X: a\r\n b", b"bad name: x", b"nocolon", b": x", b"X: a\rb", b"X: \x00", b"X : y", b"X: y\n", b"Upgrade: h2c",
    b"Expect: 100-continue", b"\rX: y", b"X: a\nY: b", b"X: y\r",
)
LINE_ENDS = (
    b"\n", b"\r", b"\r\r\n", b"\n\r\n", b"\n\n", b" \r\n", b"\r\n ", b"\x00\r\n", b"\r\n\r\n", b"", b"\t\r\n",
    b"\x0b\r\n",
)
PREFIXES = (
    b"\n", b"\r", b"\n\n", b"\r\r\n", b" ", b"\x00", b"\r\n ", b"\r\n\r\n\r\n\r\n", b"\t\r\n", b"x", b"\r\n\n",
    b"\x80",
)
# fmt: on
