"""A simulated dashboard with the export protocol of the real one, for `make run`, tests and demonstrations."""

from sample_dashboard.control import Control, Fault, FaultKind
from sample_dashboard.server import SampleServer
from sample_dashboard.world import SampleWorld

__all__ = ["Control", "Fault", "FaultKind", "SampleServer", "SampleWorld"]
