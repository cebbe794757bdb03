"""The commands of ``shoal``, a module for each thing one does. What takes long to import is imported inside."""
