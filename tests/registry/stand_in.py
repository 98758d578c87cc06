"""A schema registry that can be told to be slow, unwell, locked or wrong: what of Confluent's API weir needs."""
import base64
import http.server
import json
import os
import ssl
import subprocess
import threading


class StandIn:
    """Listens on a port of its own; stop() and start() take it away and bring it back with the schemas it had."""

    def __init__(self, tls_path=None, user_info=None):
        self.subjects, self.schemas = {}, []
        self.delay = threading.Event()  # set: requests hang until it is cleared
        self.status = None              # answered to every request instead
        self.refuses = {}               # by subject: status and message for whoever registers a schema there
        self.answer = None              # bytes answered to every GET instead
        self.user_info = user_info
        self.requests = 0
        self.port = 0
        self.tls_path = tls_path
        if tls_path:
            subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1',
                            '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', os.path.join(tls_path, 'key.pem'),
                            '-out', os.path.join(tls_path, 'cert.pem')], check=True, stderr=subprocess.DEVNULL)
        self.start()

    @property
    def url(self):
        return 'http%s://127.0.0.1:%d' % ('s' if self.tls_path else '', self.port)

    def start(self):
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def log_message(self, *_):
                pass

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except (ConnectionError, ssl.SSLError):
                    self.close_connection = True

            def do_GET(self):
                self.reply(*owner.get(self.path, self.headers))

            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                self.reply(*owner.post(self.path, body, self.headers))

            def do_DELETE(self):
                self.reply(*owner.delete(self.path, self.headers))

            def reply(self, status, body):
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header('Content-Length', str(len(data)))
                self.send_header('Connection', 'close')  # or stop() would leave those open that clients keep
                self.end_headers()
                self.wfile.write(data)
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', self.port), Handler)
        self.server.daemon_threads = True
        if self.tls_path:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(os.path.join(self.tls_path, 'cert.pem'), os.path.join(self.tls_path, 'key.pem'))
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={'poll_interval': 0.02}, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def add(self, subject, text, language='AVRO'):
        """Its id."""
        schema = {'schema': text, 'schemaType': language}
        if schema not in self.schemas:
            self.schemas.append(schema)
        identity = self.schemas.index(schema) + 1
        versions = self.subjects.setdefault(subject, [])
        if identity not in versions:
            versions.append(identity)
        return identity

    def before(self, headers):
        self.requests += 1
        while self.delay.is_set():
            threading.Event().wait(0.05)
        if self.user_info:
            wanted = 'Basic ' + base64.b64encode(self.user_info.encode()).decode()
            if headers.get('Authorization') != wanted:
                return 401, {'error_code': 40101, 'message': 'who are you?'}
        return (self.status, {'error_code': self.status, 'message': 'told to'}) if self.status else None

    def get(self, path, headers):
        refused = self.before(headers)
        if refused:
            return refused
        if self.answer is not None:
            return 200, self.answer
        parts = path.split('?')[0].strip('/').split('/')
        if parts[0] == 'schemas':
            identity = int(parts[2])
            if identity > len(self.schemas):
                return 404, {'error_code': 40403, 'message': 'Schema not found'}
            return 200, self.schemas[identity - 1]
        versions = self.subjects.get(parts[1])
        if versions is None:
            return 404, {'error_code': 40401, 'message': 'Subject not found'}
        version = len(versions) if parts[3] == 'latest' else int(parts[3])
        identity = versions[version - 1]
        return 200, dict(self.schemas[identity - 1], id=identity, version=version, subject=parts[1])

    def post(self, path, body, headers):
        refused = self.before(headers)
        if refused:
            return refused
        subject = path.split('/')[2]
        if subject in self.refuses:
            status, message = self.refuses[subject]
            return status, {'error_code': status, 'message': message}
        given = json.loads(body)
        return 200, {'id': self.add(subject, given['schema'], given.get('schemaType', 'AVRO'))}

    def delete(self, path, headers):
        refused = self.before(headers)
        if refused:
            return refused
        versions = self.subjects.pop(path.split('/')[2], None)
        if versions is None:
            return 404, {'error_code': 40401, 'message': 'Subject not found'}
        return 200, list(range(1, len(versions) + 1))
