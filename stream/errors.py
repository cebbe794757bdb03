"""Every error that Shoal raises on purpose.

::

    ShoalError
    ├── ConfigError              a setting or a mapping file is wrong; the text names key, value and what is allowed
    ├── InputError               a file given on the command line cannot be read as what it should be
    ├── FormatError              bytes of a state topic are not what their format version promises
    ├── EncoderError             a model cannot be loaded or does not answer as an encoder
    ├── NotReady                 asked of a model for what it has not learnt yet
    ├── StateLost                a state topic does not hold what was written to it: restore it, or begin anew
    ├── ProcessingFailed         one record after the other makes processing fail: stop, a human has to look
    ├── ResetRefused             a generation cannot be opened or dropped now; the text says what has to be so first
    └── BrokerError              the border to Kafka
        ├── BrokerUnavailable    nobody answers, or not in time: try again later
        ├── TopicMismatch        a topic is missing or has the wrong number of partitions
        ├── OffsetOutOfRange     what was to be read is not in the log any more: start again from elsewhere
        ├── TransactionAborted   this commit did not happen: roll back, seek, go on
        └── Fenced               another process has taken this one's place: end at once, write nothing

The text of each says what a user can do. Errors of third parties are translated at the one border where they arise.
Bad records are no exceptions: they are dead letters (``stream.events``).
"""


class ShoalError(Exception):
    """Base of all; the command line prints its text without a traceback."""


class ConfigError(ShoalError):
    """A setting or mapping file is wrong."""


class InputError(ShoalError):
    """An input file is not what it should be."""


class FormatError(ShoalError):
    """Bytes of a state topic do not follow their format."""


class EncoderError(ShoalError):
    """An encoder cannot be loaded, or its output is unusable."""


class NotReady(ShoalError):
    """A model was asked for what it has not learnt yet."""


class StateLost(ShoalError):
    """A state topic does not hold what was written to it."""


class ProcessingFailed(ShoalError):
    """So many records make processing fail that they are hardly to blame."""


class ResetRefused(ShoalError):
    """A generation cannot be opened, or dropped, as things are."""


class BrokerError(ShoalError):
    """Something at the border to Kafka."""


class BrokerUnavailable(BrokerError):
    """Nobody answers, or not in time; trying again may help."""


class TopicMismatch(BrokerError):
    """A topic is missing, or its partitions are not what they must be."""


class OffsetOutOfRange(BrokerError):
    """What was to be read was trimmed, or belongs to another topic of that name."""


class TransactionAborted(BrokerError):
    """The transaction did not take effect; the caller rolls back and processes its input again."""


class Fenced(BrokerError):
    """Another producer with the same transactional id is active; this process must end."""
