"""HTTP/2 by hand, frame by frame: for what no well-behaved client sends, and for where frames begin and end."""
import socket
import struct

from server_lib import SLOW

PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
DATA, HEADERS, PRIORITY, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4


def frame(kind, flags, stream, payload=b''):
    return struct.pack('>I', len(payload))[1:] + bytes([kind, flags]) + struct.pack('>I', stream) + payload


def literal(name, value):
    def text(t):
        n = len(t)
        if n < 127:
            return bytes([n]) + t
        out, n = b'\x7f', n - 127
        while n >= 128:
            out, n = out + bytes([n % 128 + 128]), n // 128
        return out + bytes([n]) + t
    return b'\x00' + text(name) + text(value)


def headers(method, path, *more):
    return b''.join(literal(*h) for h in ((b':method', method), (b':scheme', b'http'), (b':path', path), (b':authority', b'x')) + more)


class Http2:
    def __init__(self, s, settings=b''):
        self.c = socket.create_connection(('127.0.0.1', s.port), timeout=SLOW)
        self.c.sendall(PREFACE + frame(SETTINGS, 0, 0, settings))
        self.buffer = b''

    def frames(self):
        """Until the server closes or nothing comes."""
        while True:
            while len(self.buffer) < 9 or len(self.buffer) < 9 + int.from_bytes(self.buffer[:3], 'big'):
                try:
                    more = self.c.recv(65536)
                except ConnectionError:
                    return
                if not more:
                    return
                self.buffer += more
            n = int.from_bytes(self.buffer[:3], 'big')
            kind, flags, stream = self.buffer[3], self.buffer[4], int.from_bytes(self.buffer[5:9], 'big')
            payload, self.buffer = self.buffer[9:9 + n], self.buffer[9 + n:]
            yield kind, flags, stream, payload

    def until(self, wanted):
        for f in self.frames():
            if wanted(*f):
                return f
        raise AssertionError('closed')

    def body(self, stream=1):
        got = b''
        for kind, flags, of, payload in self.frames():
            if of != stream:
                continue
            if kind == RST:
                return got, int.from_bytes(payload, 'big')
            if kind == DATA:
                got += payload
            if kind in (DATA, HEADERS) and flags & END_STREAM:
                return got, None
        return got, 'closed'
