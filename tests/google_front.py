"""Google's side of a Firestore client that is not told about an emulator: TLS in front of it, and a token server."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

HOST = "firestore.googleapis.com"
TOKEN_SECONDS = 227
"""The life of a token. Google's client fetches the next one 225 seconds before the end, so each serves two seconds."""


class TokenServer:
    """Issues access tokens for signed requests, or refuses them."""

    def __init__(self) -> None:
        self.refusal: dict[str, str] | None = None
        """The body of the response with which it refuses; None if it issues tokens."""
        self.issued = 0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                refusal = owner.refusal
                owner.issued += refusal is None
                # The emulator grants everything to this token.
                token = {"access_token": "owner", "expires_in": TOKEN_SECONDS, "token_type": "Bearer"}
                body = json.dumps(refusal or token).encode()
                self.send_response(400 if refusal else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/token"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class GoogleFront:
    """The environment of a process that believes to use Firestore in the cloud; its calls go to an emulator."""

    folder: Path
    emulator_port: int
    tokens: TokenServer = field(default_factory=TokenServer)

    def __post_init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        self._write_certificate()
        self.write_key_file()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.folder / "front.pem")
        self._context.set_alpn_protocols(["h2"])
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def key_file(self) -> Path:
        return self.folder / "service-account.json"

    def env(self, project: str, prefix: str) -> dict[str, str]:
        return {
            "BACKFILL_STORAGE": "firestore",
            "BACKFILL_FIRESTORE_PREFIX": prefix,
            "GOOGLE_CLOUD_PROJECT": project,
            "GOOGLE_APPLICATION_CREDENTIALS": str(self.key_file),
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(self.folder / "front.pem"),
            "grpc_proxy": f"http://127.0.0.1:{self._listener.getsockname()[1]}",
        }

    def close(self) -> None:
        self._listener.close()
        self.tokens.close()

    def _pem(self) -> bytes:
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def write_key_file(self) -> None:
        document = {
            "type": "service_account",
            "project_id": "backfill-test",
            "private_key_id": "1",
            "private_key": self._pem().decode(),
            "client_email": "backfill@backfill-test.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": self.tokens.url,
        }
        self.key_file.write_text(json.dumps(document))

    def _write_certificate(self) -> None:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        (self.folder / "front.pem").write_bytes(self._pem() + certificate.public_bytes(serialization.Encoding.PEM))

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Answer CONNECT as a proxy does, then end the encryption and pass on what is sent."""
        with suppress(OSError):  # a connection that one side has closed
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                request += client.recv(1)
            assert request.startswith(f"CONNECT {HOST}:443 ".encode()), request
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with (
                self._context.wrap_socket(client, server_side=True) as secure,
                socket.create_connection(("127.0.0.1", self.emulator_port)) as emulator,
            ):
                back = threading.Thread(target=_forward, args=(emulator, secure), daemon=True)
                back.start()
                _forward(secure, emulator)
                emulator.shutdown(socket.SHUT_RDWR)
                back.join()


def _forward(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):  # closed by one side; the other direction ends, too
        while data := source.recv(65_536):
            target.sendall(data)
