// C++ exceptions become Python's, called with Python's lock held.
#pragma once

#include <Python.h>

#include <new>

#include "database.hpp"

inline void raise_failure() {
  const auto set = [](const char* name, const char* text) {
    PyObject* module = PyImport_ImportModule("pyelevator_native.leveldb");
    PyObject* type = module != nullptr ? PyObject_GetAttrString(module, name) : nullptr;
    PyObject* shown = type != nullptr ? PyUnicode_DecodeUTF8(text, static_cast<Py_ssize_t>(strlen(text)), "replace") : nullptr;
    if (shown != nullptr) PyErr_SetObject(type, shown);
    Py_XDECREF(shown);
    Py_XDECREF(type);
    Py_XDECREF(module);
  };
  try {
    throw;
  } catch (const elevator::Failure& failure) {
    set(failure.corruption ? "CorruptionError" : failure.io ? "IOError" : "Error", failure.what());
  } catch (const elevator::Closed& closed) {
    PyErr_SetString(PyExc_RuntimeError, closed.what());
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
}
