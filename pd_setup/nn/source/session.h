// One model, one method, one buffer size, and everything that the audio callback needs to play them. Another thread
// prepares a session and then passes it to the callback.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model.h"
#include "ring.h"

namespace nn {

constexpr int min_buffer = 64;
constexpr int max_buffer = 1 << 20;

// The buffer that is used for a request of `requested` samples: a power of two that every ratio of the model divides.
int buffer_size(const ModelInfo& info, int requested);

// Memory of a session's rings in bytes.
double session_bytes(const Method& method, int buffer, int block);
constexpr double max_session_bytes = 1 << 30;

// Counters that outlive sessions; written by the audio callback and the worker, read by any thread.
struct Meters {
    std::atomic<std::uint64_t> late{0};       // blocks that were not ready in time: silence was played
    std::atomic<std::uint64_t> blocks{0};     // blocks that the model computed
    std::atomic<std::uint64_t> failed{0};     // blocks on which the model failed
    std::atomic<std::uint64_t> nonfinite{0};  // blocks in which the model returned NaN or infinity
    std::atomic<float> load{0};               // computing time of a block / its duration
    std::atomic<double> sample_rate{48000};
};

// The reason of a failure, passed between threads without locks. While one is waiting to be read, others are dropped.
class Failure {
public:
    void store(const std::string& reason) noexcept;
    bool take(std::string& reason);

private:
    std::atomic<int> state_{0};  // 0 empty, 1 being written, 2 full
    char text_[400] = "";
};

// State shared by the sessions of one object.
struct Shared {
    explicit Shared(bool batch_) : batch(batch_) {}
    const bool batch;  // rendering faster than real time: wait for late blocks
    Meters meters;
    Failure failure;
    std::atomic<std::uint32_t> wake{0};  // incremented whenever there may be work for the worker

    void wake_worker() noexcept {  // does not wait or lock
        wake.fetch_add(1, std::memory_order_release);
        wake.notify_one();
    }
};

class Session {
public:
    Session(std::shared_ptr<Model> model, const Method& method, int requested_buffer, int block, Shared& shared);

    // --- the audio callback ---
    void set_block_size(int block) noexcept;  // restarts only if the size changed
    void restart(int block) noexcept;  // drop the blocks in progress and start from silence
    void process(const float* const* in, int ins, float* const* out, int outs, int samples) noexcept;

    void drain() noexcept;  // in batch mode: wait until the worker has computed every submitted block

    // --- the worker ---
    bool compute_next();  // compute the next block, if there is one

    // --- any thread ---
    int delay(int block) const;  // delay of the buffers in samples
    bool supports(int block) const { return block <= max_block_; }

    const std::shared_ptr<Model> model;
    const Method method;
    const int requested;  // buffer size as requested
    const int buffer;     // buffer size in use
    const bool synchronous;  // computed inside the audio callback
    std::atomic<bool> retired{false};  // no longer used by the audio callback

private:
    void read_input(const float* const* in, int ins, int from, int count) noexcept;
    void submit_block() noexcept;
    void write_output(float* const* out, int outs, int from, int count) noexcept;
    void next_output_block() noexcept;
    void compute(float* in, float* out) noexcept;

    const int max_block_, in_frames_, out_frames_;
    Shared& shared_;
    BlockRing in_, out_;
    std::vector<float> sync_out_;  // in synchronous mode: two results, one playing, one next
    std::atomic<std::uint32_t> progress_{0};  // blocks that the worker is done with
    std::atomic<std::uint64_t> started_{0};   // blocks with a lower index have been played, or skipped

    // used by the audio callback only:
    float* filling_ = nullptr;        // block being filled, nullptr if the ring was full
    const float* playing_ = nullptr;  // block being played, nullptr for silence
    bool playing_from_ring_ = false;
    bool sync_ready_[2] = {false, false};
    int block_ = 0, filled_ = 0, played_ = 0, silence_ = 0;
    std::uint64_t in_index_ = 0, out_index_ = 0;
};

}  // namespace nn
