// One model, one method, one buffer size, and everything that the audio callback needs to play them: made ready by
// another thread, then handed to the callback as a whole.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model.h"
#include "ring.h"

namespace nn {

constexpr int smallest_buffer = 64;
constexpr int largest_buffer = 1 << 20;

// The buffer that is used where `asked` samples are asked for: a power of two that every ratio of the model divides.
int buffer_size(const ModelInfo& info, int asked);

// Bytes that the rings of a session take.
double memory_needed(const Method& method, int buffer, int block);
constexpr double most_memory = 1 << 30;

// Counters that outlive sessions; written by the audio callback and the worker, read by everyone.
struct Meters {
    std::atomic<std::uint64_t> late{0};       // blocks that were not ready in time and became silence
    std::atomic<std::uint64_t> blocks{0};     // blocks that the model computed
    std::atomic<std::uint64_t> failed{0};     // blocks on which the model failed
    std::atomic<std::uint64_t> nonfinite{0};  // blocks in which the model gave NaN or infinity
    std::atomic<float> load{0};               // time that a block takes, over the time that it lasts
    std::atomic<double> sample_rate{48000};
};

// The reason of the last failure, passed on without locks: written if nobody has yet to read, else dropped.
class Failure {
public:
    void tell(const std::string& reason) noexcept;
    bool take(std::string& reason);

private:
    std::atomic<int> state_{0};  // 0 empty, 1 being written, 2 full
    char text_[400] = "";
};

// What the sessions of one object share.
struct Common {
    explicit Common(bool batch_) : batch(batch_) {}
    const bool batch;  // rendering faster than real time: wait for what is not ready
    Meters meters;
    Failure failure;
    std::atomic<std::uint32_t> wake{0};  // counts reasons for the worker to look around

    void wake_worker() noexcept {  // neither waits nor locks
        wake.fetch_add(1, std::memory_order_release);
        wake.notify_one();
    }
};

class Session {
public:
    Session(std::shared_ptr<Model> model, const Method& method, int asked_buffer, int block, Common& common);

    // --- the audio callback ---
    void fit(int block) noexcept;      // Pd computes `block` samples at a time: go on if it did before, else restart
    void restart(int block) noexcept;  // forget what is under way and play from silence
    void process(const float* const* in, int ins, float* const* out, int outs, int samples) noexcept;

    void drain() noexcept;             // in batch mode: wait until the worker has done what it was given

    // --- the worker ---
    bool work();  // compute the next block, if there is one

    // --- anyone ---
    int delay(int block) const;  // samples that the output is late because of buffers
    bool fits(int block) const { return block <= largest_block_; }

    const std::shared_ptr<Model> model;
    const Method method;
    const int asked;     // buffer as asked for
    const int buffer;    // buffer as used
    const bool inside;   // computed inside the audio callback
    std::atomic<bool> retired{false};  // the audio callback will not touch it again

private:
    void take_in(const float* const* in, int ins, int from, int count) noexcept;
    void hand_over() noexcept;
    void give_out(float* const* out, int outs, int from, int count) noexcept;
    void next_output() noexcept;
    void compute(float* in, float* out) noexcept;

    const int largest_block_, in_frames_, out_frames_;
    Common& common_;
    BlockRing in_, out_;
    std::vector<float> inside_out_;  // where the callback computes itself: two results, one playing, one to come
    std::atomic<std::uint32_t> progress_{0};  // counts what the worker has done
    std::atomic<std::uint64_t> started_{0};   // blocks below this number have begun to play, or never will

    // of the audio callback alone:
    float* filling_ = nullptr;            // block that is being filled, nullptr if there was no room
    const float* playing_ = nullptr;      // block that is being played, nullptr for silence
    bool playing_from_ring_ = false;
    bool inside_ready_[2] = {false, false};
    int block_ = 0, filled_ = 0, played_ = 0, silence_ = 0;
    std::uint64_t in_index_ = 0, out_index_ = 0;
};

}  // namespace nn
