"""x"""

CONVENTIONS = {}
