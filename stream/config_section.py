"""What every table of settings is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of the file; unknown keys are errors, since a misspelt key would silently do nothing."""

    # Infinite and not-a-number would pass every limit; inputs in pydantic's errors could be secrets.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)
