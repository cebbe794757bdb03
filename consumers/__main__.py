"""``python -m consumers`` is ``shoal``."""

from consumers.cli import app

if __name__ == "__main__":
    app(prog_name="shoal")
