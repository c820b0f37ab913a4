#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "testing/device/work.h"

namespace mactok::stand_in {

/** An operation on the memory of operations, which can be repeated. */
struct RecordedCall {
  /** One result, and the device memory that it is copied to. */
  struct Result {
    size_t index;
    /** Its place where the result is a list. */
    std::optional<size_t> item;
    at::Tensor target;
  };

  void repeat() const;

  std::string name;
  c10::OperatorHandle operation;
  std::vector<c10::IValue> arguments;
  std::vector<Result> results;
  /** Device memory of `out` arguments, and the tensors that the operation writes for them. */
  std::vector<std::pair<at::Tensor, at::Tensor>> outs;
  std::vector<Use> uses;
};

/**
 * Collects the operations of a stream. They have to run to know the results' shapes; when the
 * recording ends everything is undone, because on a GPU nothing has run.
 */
class Recorder {
 public:
  explicit Recorder(int pool) : pool_(pool) {}

  int pool() const { return pool_; }
  void add(RecordedCall call) { calls_.push_back(std::move(call)); }
  /** Called before the recorded work writes a block. */
  void save(Block& block);
  /** Undoes what ran; returns the calls. */
  std::vector<RecordedCall> finish();

 private:
  struct Saved {
    int64_t generation;
    std::vector<char> bytes;
  };

  int pool_;
  std::vector<RecordedCall> calls_;
  std::map<char*, Saved> saved_;
};

/** 0 without a recorder. */
int pool_of(const Recorder* recorder);

}  // namespace mactok::stand_in
