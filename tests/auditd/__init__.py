"""Real auditds of several versions, in namespaces of their own, for the tests."""
