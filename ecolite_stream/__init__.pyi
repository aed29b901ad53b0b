"""The public names, listed once: type checkers read this file, and so does `__init__.py`."""

from .app.build import stream_inputs as stream_inputs
from .config.schema import EventConfig as EventConfig
from .config.schema import MemoryConfig as MemoryConfig
from .config.schema import ReconnectConfig as ReconnectConfig
from .config.schema import StreamConfig as StreamConfig
from .config.source_names import NamedSource as NamedSource
from .engines import Engine as Engine
from .engines import open_engine as open_engine
from .engines.check import open_checked as open_checked
from .errors import BundleError as BundleError
from .errors import ConfigError as ConfigError
from .errors import EcoliteError as EcoliteError
from .errors import EngineError as EngineError
from .errors import SourceError as SourceError
from .model.bundle import Bundle as Bundle
from .model.bundle import ModelSpec as ModelSpec
from .model.bundle import demo_bundle_path as demo_bundle_path
from .model.bundle import read_bundle as read_bundle
from .observability.metrics import Metrics as Metrics
from .pipeline.pipeline import Pipeline as Pipeline
from .recognition.events import Decision as Decision
from .recognition.recognizer import Recognizer as Recognizer
from .sinks import ConsoleSink as ConsoleSink
from .sinks import JsonFileSink as JsonFileSink
from .sinks import JsonLinesSink as JsonLinesSink
from .sinks import Sink as Sink
from .sinks import WebhookSink as WebhookSink
from .sources import Source as Source
from .sources import open_source as open_source
from .types import Event as Event
from .types import Frame as Frame
from .types import Prediction as Prediction

__version__: str
