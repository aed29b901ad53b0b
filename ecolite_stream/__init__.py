"""Live action recognition with ECO-Lite beside real cameras.

    from ecolite_stream import Recognizer, demo_bundle_path, open_engine, open_source, read_bundle

`__init__.pyi` lists the public names. Each is imported at its first use, so that importing the
package stays light.
"""

import lazy_loader

from ecolite_stream.version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
