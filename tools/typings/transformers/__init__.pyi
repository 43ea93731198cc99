# transformers is imported lazily and typed as Any: reading its sources would take the type
# checker longer than all of legenda, and it builds its classes at run time anyway.
from typing import Any

def __getattr__(name: str) -> Any: ...
