#include "state.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace nn {
namespace {

constexpr int warm_up_calls = 4;  // the first calls of a scripted model compile it

void say(std::string& text, const std::vector<Value>& values) {
    for (const auto& value : values) {
        text += ' ';
        text += std::holds_alternative<double>(value) ? number(std::get<double>(value)) : std::get<std::string>(value);
    }
}

// Run a copy on silence until it has been compiled for blocks of this size. That it fails is found out in playing.
void warm_up(Model& model, const Method& method, int buffer) {
    std::string error;
    std::unique_ptr<Model> copy;
    {
        Exclusive use(model);
        copy = model.copy(error);
    }
    if (!copy) return;
    const int in_frames = buffer / method.in_ratio, out_frames = buffer / method.out_ratio;
    std::vector<float> in(std::size_t(method.in_channels) * in_frames);
    std::vector<float> out(std::size_t(method.out_channels) * out_frames);
    for (int i = 0; i < warm_up_calls; ++i)
        if (!copy->run(method, in.data(), in_frames, out.data(), out_frames, error)) return;
}

}  // namespace

std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", value);
    return text;
}

std::string joined(const std::vector<std::string>& words) {
    std::string all;
    for (const auto& word : words) all += (all.empty() ? "" : ", ") + word;
    return all;
}

std::vector<std::string> names(const std::vector<Method>& methods) {
    std::vector<std::string> all;
    for (const auto& method : methods) all.push_back(method.name);
    return all;
}

const Method& Engine::State::find(const ModelInfo& info, const std::string& name) {
    const Method* fallback = &info.methods.front();
    for (const auto& method : info.methods) {
        if (method.name == name) return method;
        if (method.name == "forward") fallback = &method;
    }
    tell(Event::error, "the model has no method '" + name + "' (it has: " + joined(names(info.methods)) + "): playing '" +
                           fallback->name + "'");
    return *fallback;
}

// Make a session ready and offer it to the audio callback.
void Engine::State::offer(const std::shared_ptr<Model>& model, const std::string& method_name, int asked) {
    const Method& method = find(model->info(), method_name);
    if (memory_needed(method, buffer_size(model->info(), asked), block.load()) > most_memory)
        return tell(Event::error, "a buffer of " + std::to_string(asked) + " would take more than a gigabyte of memory for '" +
                                      method.name + "': use a smaller one" + (latest() ? ". What was there plays on" : ""));
    auto session = std::make_shared<Session>(model, method, asked, block.load(), *this);
    if (asked > 0 && asked != session->buffer)
        tell(Event::note, "a buffer of " + std::to_string(asked) + " is not possible: using " + std::to_string(session->buffer));
    warm_up(*model, method, session->buffer);
    std::atexit(finish_all);  // again with each model: what is registered last runs first, before libtorch ends
    if (batch) seed();  // the same every time, for models that draw random numbers too
    {
        std::lock_guard lock(mutex);
        sessions.push_back(session);
        newest = session;
    }
    if (Session* refused = offered.exchange(session.get(), std::memory_order_acq_rel)) refused->retired.store(true);
    wake_worker();
}

void Engine::State::load(const std::string& file) {
    std::string error, method;
    std::shared_ptr<Model> model = load_model(file, error);
    if (!model) return tell(Event::error, error + (latest() ? " The model that was there plays on." : ""));
    for (const auto& note : model->info().notes) tell(Event::note, note);
    int buffer;
    {
        std::lock_guard lock(mutex);
        method = wanted_method;
        buffer = wanted_buffer;
        path = file;
    }
    offer(model, method, buffer);
    const auto now = latest();
    if (!now || now->model != model) return;
    check(*now);
    tell(Event::out, "model", {file});
}

// What a person should know about a model in this object.
void Engine::State::check(const Session& session) {
    const Method& m = session.method;
    int has_ins, has_outs;
    {
        std::lock_guard lock(mutex);
        has_ins = ins;
        has_outs = outs;
    }
    if (m.in_channels != has_ins || m.out_channels != has_outs)
        tell(Event::note, "'" + m.name + "' takes " + std::to_string(m.in_channels) + " and gives " +
                              std::to_string(m.out_channels) + " signals, this object has " + std::to_string(has_ins) + " and " +
                              std::to_string(has_outs) + ": the others are silent. Make the object anew to get them");
    const double made = session.model->info().sample_rate, plays = meters.sample_rate.load();
    if (made > 0 && std::abs(made - plays) > 0.5)
        tell(Event::note,
             "the model was made at " + number(made) + " Hz and Pd runs at " + number(plays) + " Hz: pitch and tempo are off");
}

// Let go of sessions that nobody uses any more. The worker does it, since models take long to free.
void Engine::State::sweep() {
    std::vector<std::shared_ptr<Session>> gone;  // freed after the lock is released
    std::lock_guard lock(mutex);
    for (auto i = sessions.begin(); i != sessions.end();) {
        if ((*i)->retired.load(std::memory_order_acquire) && *i != newest) {
            gone.push_back(std::move(*i));
            i = sessions.erase(i);
        } else {
            ++i;
        }
    }
}

void Engine::State::tell_info() {
    const double rate = meters.sample_rate.load();
    if (const auto session = latest()) {
        const Method& m = session->method;
        const int delay = session->delay(block.load());
        tell(Event::out, "latency", {double(delay), 1000 * delay / rate});
        if (m.delay >= 0) tell(Event::out, "delay", {double(m.delay), 1000 * m.delay / rate});
        tell(Event::out, "method",
             {m.name, double(m.in_channels), double(m.in_ratio), double(m.out_channels), double(m.out_ratio)});
        tell(Event::out, "buffer", {double(session->buffer)});
        tell(Event::out, "samplerate", {session->model->info().sample_rate, rate});
        const auto& ranges = session->model->info().ranges;
        if (!ranges.empty()) tell(Event::out, "ranges", {ranges.begin(), ranges.end()});
    }
    tell(Event::out, "load", {double(meters.load.load())});
    tell(Event::out, "blocks", {double(meters.blocks.load())});
    tell(Event::out, "late", {double(meters.late.load())});
}

void Engine::State::tell_value(Model& model, const std::string& attribute) {
    std::vector<Value> values;
    std::string error;
    bool good;
    {
        Exclusive use(model);
        good = model.get(attribute, values, error);
    }
    if (!good) return tell(Event::error, error);
    std::string text = attribute + ":";
    say(text, values);
    tell(Event::note, text);
    tell(Event::out, attribute, values);
}

}  // namespace nn
