#pragma once

#include <memory>
#include <vector>

#include "testing/device/recorder.h"

namespace mactok::stand_in {

/** Memory that a device's graphs share, and nobody else uses while one of them exists. */
struct GraphPool {
  GraphPool() : id(open_pool()) {}
  ~GraphPool() { close_pool(id); }
  GraphPool(const GraphPool&) = delete;
  GraphPool& operator=(const GraphPool&) = delete;

  int id;
};

/** A CUDA graph: operations of a stream, launched together. */
class Graph {
 public:
  explicit Graph(int device);
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  /** The thread's work goes to the stream of the device's graphs; with `record` it is recorded. */
  void enter(bool record);
  /** The thread's work goes to the stream of before. With `keep` a recording is ready to replay. */
  void leave(bool keep);
  /** On the current stream. */
  void replay();

 private:
  int device_;
  size_t stream_;
  size_t outside_ = 0;
  std::shared_ptr<GraphPool> pool_;
  std::unique_ptr<Recorder> recorder_;
  std::vector<RecordedCall> calls_;
};

}  // namespace mactok::stand_in
