// The interface between the engine and a model. torch_model.cpp implements it with libtorch; stub_model.cpp without, so
// that the rest can be tested under AddressSanitizer and ThreadSanitizer.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace nn {

using Value = std::variant<double, std::string>;  // one element of a Pd message

struct Method {
    std::string name;
    int in_channels, in_ratio, out_channels, out_ratio;
    int delay = -1;  // the model's own delay in samples; -1: not stated in the file
};

struct ModelInfo {
    std::vector<Method> methods;
    std::vector<std::string> attributes;
    std::vector<double> ranges;      // standard deviation of each latent; empty: not stated in the file
    std::vector<std::string> notes;  // problems of the file that do not keep it from playing
    double sample_rate = 0;          // 0: not stated in the file
    int max_ratio = 1;
};

// Nothing here throws: a function that fails returns false and puts the reason into `error`. Only one thread at a time
// may use a model: hold an Exclusive while calling it.
class Model {
public:
    virtual ~Model() = default;
    virtual const ModelInfo& info() const = 0;
    virtual std::unique_ptr<Model> copy(std::string& error) = 0;  // with its own streaming state; null on failure
    // in: [in_channels][in_frames], out: [out_channels][out_frames], both contiguous
    virtual bool run(const Method& method, const float* in, int in_frames, float* out, int out_frames, std::string& error) = 0;
    virtual bool get(const std::string& attribute, std::vector<Value>& values, std::string& error) = 0;
    virtual bool set(const std::string& attribute, const std::vector<Value>& values, std::string& error) = 0;
    virtual bool use_gpu(bool on, std::string& error) = 0;

    std::atomic_flag busy{};
};

// Null, with the reason in `error`, if the file does not exist or holds no playable model.
std::unique_ptr<Model> load_model(const std::string& path, std::string& error);

// Every thread calls this before it runs a model. `own` is false in Pd's thread, whose floating-point mode is Pd's.
void configure_thread(bool own);

// Reset the random number generator that all models share.
void seed();

// A lock on a model. The audio callback uses `try_now` and never waits.
class Exclusive {
public:
    enum Kind { wait, try_now };
    explicit Exclusive(Model& model, Kind kind = wait) : model_(model) {
        owned_ = !model_.busy.test_and_set(std::memory_order_acquire);
        while (!owned_ && kind == wait) {
            model_.busy.wait(true, std::memory_order_relaxed);
            owned_ = !model_.busy.test_and_set(std::memory_order_acquire);
        }
    }
    ~Exclusive() {
        if (!owned_) return;
        model_.busy.clear(std::memory_order_release);
        model_.busy.notify_one();
    }
    Exclusive(const Exclusive&) = delete;
    explicit operator bool() const { return owned_; }

private:
    Model& model_;
    bool owned_;
};

}  // namespace nn
