"""Tools outside: compilers, C++ builds, the vendor's programs and their reports."""
