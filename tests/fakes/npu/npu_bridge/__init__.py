"""A fake of npu_bridge (CANN 20.2, adapter r1.2.0) for tests: records and checks what is asked."""
