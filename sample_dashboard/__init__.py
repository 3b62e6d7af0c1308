"""An imaginary dashboard that speaks the real one's export protocol, for `make run`, tests and demonstrations."""

from backfill.sample_world.control import Control, Fault, FaultKind
from backfill.sample_world.server import SampleServer
from backfill.sample_world.world import SampleWorld

__all__ = ["Control", "Fault", "FaultKind", "SampleServer", "SampleWorld"]
