"""Bytes: clips in, packets out, and back. numpy only; no network framework is imported here."""
